package health

import "sync/atomic"

// Counters are the counts of a Reporter since it was made. See Reporter.Counters.
type Counters struct {
	// Published counts events that the Publisher accepted. That does not mean that
	// they arrived: neither broker of go-micro confirms it.
	Published uint64
	// Failed counts calls of the Publisher that returned an error or panicked, and
	// those in Unanswered. The event is retried until a newer one replaces it.
	Failed uint64
	// Unanswered counts calls of the Publisher that did not return in time.
	Unanswered uint64
	// Replaced counts events that a newer event with the same key replaced while
	// they were queued.
	Replaced uint64
	// Dropped counts events that did not fit into the queue.
	Dropped uint64
	// Cut counts events whose text was truncated or had invalid UTF-8.
	Cut uint64
	// Runs counts runs of checks that were started.
	Runs uint64
	// Late counts runs that did not return within their timeout.
	Late uint64
	// Skipped counts runs that were due while an earlier run had not returned.
	Skipped uint64
	// Panics counts runs that panicked.
	Panics uint64
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
