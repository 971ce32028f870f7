package ingest

import (
	"sync/atomic"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/store"
)

// Counters count messages since Events was made. For each topic, Received is the
// sum of Accepted, Stale, Refused, Rejected and Dropped and of the queued messages.
type Counters struct {
	// Topics has one entry for each topic of the bus.
	Topics map[string]TopicCounters
	// Rejected counts messages by reason; own_node are those from the bus about this
	// instance, mostly the echo of its own. It has an entry for each reason: too_large,
	// content_type, malformed, bad_value, no_service, no_node, no_id, bad_identity, own_node, internal.
	Rejected map[string]uint64
	// Repaired counts accepted messages by what was repaired in them. One message
	// may count for several repairs.
	Repaired map[string]uint64
	// Dropped counts messages that the queue dropped, by category: status, failing
	// (checks with ERROR or WARNING), check, stats.
	Dropped map[string]uint64
}

// TopicCounters count the messages of one topic.
type TopicCounters struct {
	// Received messages, and the bytes of their bodies.
	Received, Bytes uint64
	// Outcomes of the store: Accepted changed the state, Stale were older than the
	// state, Refused had a new key for which the store has no room.
	Accepted, Outdated, Refused uint64
	// Rejected are invalid. Dropped are valid, but the queue was full.
	Rejected, Dropped uint64
}

// topics of the bus, by kind of event.
var topics = [...]string{
	store.KindCheck:  health.TopicHealthCheck,
	store.KindStatus: health.TopicStatus,
	store.KindStats:  health.TopicStats,
}

// counts are the live counts behind Counters.
type counts struct {
	topics   [len(topics)]topicCounts
	rejected [reasons]atomic.Uint64
	repaired [repairCount]atomic.Uint64
}

type topicCounts struct {
	received, bytes, rejected, dropped atomic.Uint64
	outcomes                           [store.Refused + 1]atomic.Uint64
}

func (c *counts) repair(set repairs) {
	if set == 0 {
		return
	}
	for r := range repairCount {
		if set.has(r) {
			c.repaired[r].Add(1)
		}
	}
}

func (c *counts) snapshot(dropped [categories]uint64) Counters {
	s := Counters{
		Topics:   make(map[string]TopicCounters, len(topics)),
		Rejected: make(map[string]uint64),
		Repaired: make(map[string]uint64),
		Dropped:  make(map[string]uint64),
	}
	for kind, topic := range topics {
		s.Topics[topic] = c.topics[kind].snapshot()
	}
	for r := accepted + 1; r < reasons; r++ {
		s.Rejected[r.String()] = c.rejected[r].Load()
	}
	for r := range repairCount {
		s.Repaired[r.String()] = c.repaired[r].Load()
	}
	for i, n := range dropped {
		s.Dropped[category(i).String()] = n
	}
	return s
}

func (c *topicCounts) snapshot() TopicCounters {
	return TopicCounters{
		Received: c.received.Load(),
		Bytes:    c.bytes.Load(),
		Accepted: c.outcomes[store.Accepted].Load(),
		Outdated: c.outcomes[store.Outdated].Load(),
		Refused:  c.outcomes[store.Refused].Load(),
		Rejected: c.rejected.Load(),
		Dropped:  c.dropped.Load(),
	}
}
