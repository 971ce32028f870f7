package health

import "sync/atomic"

// Counters of a Reporter since it was made.
type Counters struct {
	// Published events were taken by the Publisher, which is not to say that they
	// arrived: neither stock broker tells that.
	Published uint64
	// Failed attempts to publish were refused, panicked or were not answered in
	// time; Unanswered are those of the last sort. The event is tried again until
	// a newer one takes its place.
	Failed, Unanswered uint64
	// Replaced events were overtaken by a newer one of the same key while they
	// waited; Dropped ones found no room.
	Replaced, Dropped uint64
	// Cut events had text that was cut or repaired.
	Cut uint64
	// Runs of checks that were started. Late ones did not answer in time, Skipped
	// ones were due while an earlier run had not returned, and Panics panicked.
	Runs, Late, Skipped, Panics uint64
}

type counters struct {
	published, failed, unanswered atomic.Uint64
	replaced, dropped, cut        atomic.Uint64
	runs, late, skipped, panics   atomic.Uint64
}

func (c *counters) snapshot() Counters {
	return Counters{
		Published:  c.published.Load(),
		Failed:     c.failed.Load(),
		Unanswered: c.unanswered.Load(),
		Replaced:   c.replaced.Load(),
		Dropped:    c.dropped.Load(),
		Cut:        c.cut.Load(),
		Runs:       c.runs.Load(),
		Late:       c.late.Load(),
		Skipped:    c.skipped.Load(),
		Panics:     c.panics.Load(),
	}
}
