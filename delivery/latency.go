package delivery

import (
	"time"

	"github.com/microhq/monitor-srv/clock"
)

// Latency are the times from the change of a monitor to the delivery of its notification.
// Those of starts are not counted.
type Latency struct {
	clock.Histogram

	// Newest has the newest notification of each bucket.
	Newest []Exemplar
}

// Exemplar is one notification in a Latency.
type Exemplar struct {
	Incident string
	Took     time.Duration
	// At is when it was delivered; zero if there was none.
	At time.Time
}

func newLatency() Latency {
	h := clock.NewHistogram(
		10*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond, 500*time.Millisecond, time.Second, 5*time.Second,
		15*time.Second, time.Minute, 5*time.Minute, time.Hour,
	)
	return Latency{Histogram: h, Newest: make([]Exemplar, len(h.Counts))}
}

func (l *Latency) add(e Exemplar) { l.Newest[l.Histogram.Add(e.Took)] = e }

func (l *Latency) copy() Latency {
	return Latency{Histogram: l.Histogram.Copy(), Newest: append([]Exemplar(nil), l.Newest...)}
}

// Outcomes count attempts by their outcome.
type Outcomes struct {
	// Delivered, and Refused with a permanent error.
	Delivered, Refused uint64
	// Failed may have been delivered, Unreachable cannot have been. Both are retried.
	Failed, Unreachable uint64
}

// observe counts an attempt that ended. r.mu is held.
func (r *Receiver) observe(a attempt, o outcome, now, wall time.Time) {
	switch o {
	case outcomeRefused:
		r.outcomes.Refused++
	case outcomeFailed:
		r.outcomes.Failed++
	case outcomeUnreachable:
		r.outcomes.Unreachable++
	case outcomeDelivered:
		r.outcomes.Delivered++
		for _, q := range a.queues {
			for _, e := range q.entries[:q.inFlight] {
				if e.Incident != "" {
					r.latency.add(Exemplar{Incident: e.Incident, Took: now.Sub(e.at), At: wall})
				}
			}
		}
	}
}
