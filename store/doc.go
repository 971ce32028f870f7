// Package store holds the live view of the fleet: the newest health check, status and
// stats of every node, and the verdicts about them.
//
// Put stores events. Believe says which publishers somebody vouches for. Checks, Nodes,
// Summary, Stats and Services answer queries. History, After and Wait return changes. A
// store knows nothing of brokers, RPC or files.
//
// # Entries
//
// Checks are stored by service, version, node and id, statuses and stats by service,
// version and node. The event with the newest publisher's timestamp wins; of two with
// the same timestamp, the one that arrived later. A timestamp only orders the events of
// its key; of two statuses of one second, STOPPED is the later one. One more than five
// minutes in the future counts as now. One more than five minutes off is flagged as skewed.
// One ahead of our clock holds for an interval at most: then the next event replaces it.
// After a publisher's clock was set back, its events are accepted again from the second one
// on.
//
// # Verdicts
//
// Freshness is judged by the time of arrival, on a clock that jumps of the wall clock do
// not affect and that stops while this process is frozen. A check or a node without an
// event for longer than its interval and a grace is stale and UNKNOWN. The grace is half
// the interval, but at least two seconds. After its ttl it is missing: it is retained for
// Config.Retention, listed on request, and then forgotten. A node with the status STOPPED
// was stopped on purpose: it stays STOPPED, its checks and stats from before are hidden,
// and nothing is missing. Stats have no verdict; they are missing after their ttl.
//
// Intervals up to an hour and ttls up to a day are believed from anybody, up to 400 days
// and twice that from nodes that Believe names and from monitors.
//
// Every change of a verdict is a Transition with a sequence number and a reason.
//
// # Restarts
//
// WriteSnapshot writes all that is held, ReadSnapshot and Resume restore it in the next
// run. A restart is a pause: it changes no verdict. Ages and Retention count the time
// between two runs. Silence does not: what was fresh has an interval and a grace from the
// start on, and what was stale goes missing when it would have without the restart. Nodes
// that died meanwhile become stale and missing in this way. Sequence numbers go on above
// those of the former run.
//
// # Limits
//
// Config bounds services, nodes, checks per node and entries, and the share of one
// service. An event with a known key is always accepted. For a new key, missing entries
// are evicted, then nodes that were stopped long ago, then nodes that reported only once
// and are stale. For a key that is believed, any node that is not believed is evicted too.
// If that is not enough, the event is refused and counted, see Refusals.
//
// # Indexes
//
// All entries are in trees that count the entries below each branch by status, source and
// whether they are listed. So the total and any page of any Query is found in logarithmic
// time, without scanning, copying or sorting. A timing wheel finds the entries that are
// due. Answers are copies that share only immutable strings with the store.
package store
