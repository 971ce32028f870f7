// Package store holds the one live view of the fleet: the newest health check,
// status and figures of every node, and what is judged about them.
//
// Put takes events; Checks, Nodes, Summary, Stats and Services answer questions;
// History, After and Wait tell what changed. A store knows nothing of brokers,
// RPC or files.
//
// # What is held
//
// Checks are held by service, version, node and id, statuses and figures by
// service, version and node. The newest event by the publisher's timestamp wins,
// of two with the same timestamp the one that came later. A timestamp only orders
// the events of its key. If it lies more than five minutes in the future it counts
// as now, and what lies more than five minutes off is flagged as skewed. After a
// publisher's clock was set back its events are taken again at the second one.
//
// # What is judged
//
// Freshness is judged by when an event came, on a clock that jumps of the wall
// clock do not touch and that stands still while this process is frozen. A check
// that is silent for longer than its interval and a grace, of half the interval
// but at least two seconds, is UNKNOWN; so is a node. After its ttl it is missing:
// it is kept for the Retention of the Config, listed on request, and then
// forgotten. A node that said STOPPED was stopped on purpose: it stays STOPPED,
// its checks are hidden when they fall silent, and nothing is missing. Figures are
// not judged; they are missing after their ttl.
//
// Every change of a judgement is a Transition with a sequence number and a reason.
//
// # What is refused
//
// The Config caps services, nodes, checks of a node and entries, and the share of
// one service. An event of a known key is always taken. For a new key what is
// missing makes room, then nodes that were stopped long ago, and nothing else;
// if that is not enough it is refused and counted, see Refusals.
//
// # How it is found
//
// Everything is held in trees that count what is below each branch by status,
// source and whether it is listed. So the total and any page of any Query is found
// in logarithmic time, and nothing is ever scanned, copied and sorted. What is due
// to be judged is found by a timing wheel. What leaves the store is a copy that
// shares only strings, which never change.
package store
