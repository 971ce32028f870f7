package metrics

// Events counts what came from the bus since the start.
type Events struct {
	// Topics are counted by name.
	Topics map[string]Topic
	// Rejected counts messages by reason, Repaired accepted ones by what was repaired,
	// Dropped valid ones by why there was no room for them.
	Rejected, Repaired, Dropped map[string]uint64
	// Queued are the messages before the store, QueuedBytes the memory that they take.
	Queued, QueuedBytes int
}

// Topic counts the messages of one topic.
type Topic struct {
	// Results counts messages by what has become of them.
	Results map[string]uint64
	// Bytes of all bodies.
	Bytes uint64
}

type eventFamilies struct{ events, bytes, rejected, repaired, dropped, queued, queuedBytes *family }

func newEventFamilies(c *contract) eventFamilies {
	return eventFamilies{
		queued:      c.gauge("event_queue_events", "Messages that wait for the store."),
		queuedBytes: c.gauge("event_queue_bytes", "Memory of the messages that wait for the store."),
		events:      c.counter("events_total", "Messages from the bus, by result: accepted, outdated, refused (no room for a new key), rejected (invalid), dropped (the queue was full).", "topic", "result"),
		bytes:       c.counter("event_bytes_total", "Bytes of the bodies of messages from the bus.", "topic"),
		rejected:    c.counter("events_rejected_total", "Invalid messages from the bus, by reason.", "reason"),
		repaired:    c.counter("events_repaired_total", "Accepted messages from the bus, by what was repaired.", "reason"),
		dropped:     c.counter("events_dropped_total", "Valid messages from the bus for which there was no room: cardinality (a new key) or the category of a full queue.", "reason"),
	}
}

// collectEvents adds the series of the bus.
func (c *Collector) collectEvents(out sink) {
	f, e := &c.contract.events, c.sources.Events()
	for name, topic := range e.Topics {
		for result, n := range topic.Results {
			out.addStrings(f.events, float64(n), result, name)
		}
		out.addStrings(f.bytes, float64(topic.Bytes), name)
	}
	for _, by := range []struct {
		family *family
		counts map[string]uint64
	}{{f.rejected, e.Rejected}, {f.repaired, e.Repaired}, {f.dropped, e.Dropped}} {
		for reason, n := range by.counts {
			out.addStrings(by.family, float64(n), reason)
		}
	}
	out.add(f.queued, float64(e.Queued))
	out.add(f.queuedBytes, float64(e.QueuedBytes))
}
