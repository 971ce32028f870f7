package metrics

type storeFamilies struct {
	entries, nodes, bytes                                                *family
	transitions, evicted, forgotten, skewed, conflicts, trimmed, refused *family
}

func newStoreFamilies(c *contract) storeFamilies {
	return storeFamilies{
		transitions: c.counter("transitions_total", "Changes of verdicts."),
		evicted:     c.counter("store_evicted_total", "Entries that made room for others."),
		forgotten:   c.counter("store_forgotten_total", "Missing and stopped entries that were forgotten after their retention."),
		skewed:      c.counter("store_skewed_total", "Events whose timestamp was more than five minutes off."),
		conflicts:   c.counter("store_conflicts_total", "Nodes whose id another service or version claims too."),
		trimmed:     c.counter("store_trimmed_total", "Updates that were stored without their results, for lack of room."),
		refused:     c.counter("store_refused_total", "Events of new keys for which there was no room."),
		entries:     c.gauge("store_entries", "Entries of the store: check, status, stats.", "kind"),
		nodes:       c.gauge("store_nodes", "Known nodes, with and without a published status."),
		bytes:       c.gauge("store_bytes", "Size of all results, errors and descriptions."),
	}
}

// collectStore adds the series of the store itself.
func (c *Collector) collectStore(out sink) {
	f, s := &c.contract.store, c.sources.Store.Counters()
	out.addStrings(f.entries, float64(s.Checks), "check")
	out.addStrings(f.entries, float64(s.Statuses), "status")
	out.addStrings(f.entries, float64(s.Stats), "stats")
	out.add(f.nodes, float64(s.Nodes))
	out.add(f.bytes, float64(s.Bytes))
	out.add(f.transitions, float64(s.Transitions))
	out.add(f.evicted, float64(s.Evicted))
	out.add(f.forgotten, float64(s.Forgotten))
	out.add(f.skewed, float64(s.Skewed))
	out.add(f.conflicts, float64(s.Conflicts))
	out.add(f.trimmed, float64(s.Trimmed))
	out.add(f.refused, float64(s.Refused))
}
