package ingest

import (
	"sync/atomic"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/store"
)

// Counters tell what became of the messages since Events was made. For each
// topic, Received is the sum of the other counts and of what is still queued.
type Counters struct {
	// Topics holds one entry for each topic of the bus.
	Topics map[string]TopicCounters
	// Rejected counts messages by reason, every reason being there: too_large,
	// content_type, malformed, no_service, no_node, no_id, bad_identity, internal.
	Rejected map[string]uint64
	// Repaired counts messages that were taken after a repair, by what was
	// repaired; one message may count for several.
	Repaired map[string]uint64
	// Dropped counts messages for which the queue had no room, by what they were:
	// status, failing (checks with ERROR or WARNING), check, stats.
	Dropped map[string]uint64
}

// TopicCounters count the messages of one topic.
type TopicCounters struct {
	// Received messages, and the bytes of their bodies.
	Received, Bytes uint64
	// Accepted changed what is known. Stale were older than what is known,
	// Refused were of a new key for which the store has no room.
	Accepted, Stale, Refused uint64
	// Rejected could not be taken. Dropped were taken, but the queue was full.
	Rejected, Dropped uint64
}

// topics of the bus by the kind of their events.
var topics = [...]string{
	store.KindCheck:  health.TopicHealthCheck,
	store.KindStatus: health.TopicStatus,
	store.KindStats:  health.TopicStats,
}

// counters is what Counters are made from.
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
		Stale:    c.outcomes[store.Stale].Load(),
		Refused:  c.outcomes[store.Refused].Load(),
		Rejected: c.rejected.Load(),
		Dropped:  c.dropped.Load(),
	}
}
