package monitor

import (
	"cmp"
	"time"

	"github.com/microhq/monitor-srv/probe"
)

// lastProbe is what is retained of the last probe besides its value and error.
type lastProbe struct {
	verdict State
	took    time.Duration
	late    time.Duration
	phases  []probe.Phase
	facts   probe.Facts
}

// setLast retains a measurement. r.mu is held.
func (r *runner) setLast(verdict State, m *measurement) {
	if r.last == nil {
		r.last = new(lastProbe)
	}
	*r.last = lastProbe{verdict: verdict, took: m.took, late: m.late, phases: m.Phases, facts: m.Facts}
}

// Last is the last probe of a monitor.
type Last struct {
	// Kind is that of the probe.
	Kind string
	// Verdict is that on its value alone: OK, Warning, Failing, or Unknown while a filter
	// has too few values.
	Verdict State
	Value   float64
	// At is the start of the probe, Took its duration. At is zero without a probe.
	At     time.Time
	Took   time.Duration
	Phases []probe.Phase
	Facts  probe.Facts
}

// LastProbe returns the last probe of the monitor with a name, or ErrNotFound. That of a
// stopped monitor has no time.
func (g *Group) LastProbe(name string) (Last, error) {
	r := g.lookup(name)
	if r == nil {
		_, err := g.IDOf(name) // says which name is like it
		return Last{}, cmp.Or(err, ErrNotFound)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	last := Last{Kind: r.def.probe.Kind}
	if r.pipeline != nil && r.last != nil {
		last.Verdict, last.Value, last.At = r.last.verdict, r.value, r.lastProbe
		last.Took, last.Phases, last.Facts = r.last.took, r.last.phases, r.last.facts
	}
	return last, nil
}
