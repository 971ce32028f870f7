package monitor

import (
	"fmt"
	"slices"
	"time"
)

// filterState is what a filter remembers.
type filterState struct {
	// Values are the latest ones, the oldest first.
	Values []float64 `json:"values,omitempty"`
	// Age is that of the last value, if the filter needs it.
	Age time.Duration `json:"age,omitempty"`
	// Failed is the verdict, Streak the number of results that contradict it.
	Failed bool `json:"failed,omitempty"`
	Streak int  `json:"streak,omitempty"`
	// Failures are the latest results, the oldest first: true is a failure.
	Failures []bool `json:"failures,omitempty"`
}

// check rejects a state that no filter has.
func (s filterState) check() error {
	if len(s.Values) > maxWindow || len(s.Failures) > maxWindow || s.Streak < 0 || s.Streak > maxWindow || s.Age < 0 || s.Age > maxAge {
		return fmt.Errorf("its filter has more than %d values, or a number out of range", maxWindow)
	}
	return nil
}

// retainer is a filter that remembers something. state returns it, and recall takes the
// state of an equal filter.
type retainer interface {
	state(now time.Time) filterState
	recall(s filterState, now time.Time)
}

var _, _, _, _, _ retainer = (*average)(nil), (*reduced)(nil), (*rate)(nil), (*consecutive)(nil), (*nOfM)(nil)

// retainer returns the filter of the pipeline, or nil.
func (p *pipeline) retainer() retainer {
	if f, ok := p.value.(retainer); ok {
		return f
	}
	f, _ := p.verdict.(retainer)
	return f
}

// filterState returns what the filter remembers, or nil without one. The lock of the
// runner is held.
func (p *pipeline) filterState(now time.Time) *filterState {
	f := p.retainer()
	if f == nil {
		return nil
	}
	s := f.state(now)
	return &s
}

// recallFilters makes the filter continue from a state.
func (p *pipeline) recallFilters(s filterState, now time.Time) {
	if f := p.retainer(); f != nil {
		f.recall(s, now)
	}
}

// ordered returns the values, the oldest first.
func (w *window) ordered() []float64 {
	if !w.full {
		return slices.Clone(w.filled())
	}
	return slices.Concat(w.values[w.next:], w.values[:w.next])
}

// refill replaces the values.
func (w *window) refill(values []float64) {
	w.next, w.full = 0, false
	for _, v := range values[max(0, len(values)-len(w.values)):] {
		w.add(v)
	}
}

func (f *average) state(time.Time) filterState       { return filterState{Values: f.w.ordered()} }
func (f *average) recall(s filterState, _ time.Time) { f.w.refill(s.Values) }

func (f *reduced) state(time.Time) filterState       { return filterState{Values: f.w.ordered()} }
func (f *reduced) recall(s filterState, _ time.Time) { f.w.refill(s.Values) }

func (f *rate) state(now time.Time) filterState {
	if f.at.IsZero() {
		return filterState{}
	}
	return filterState{Values: []float64{f.last}, Age: now.Sub(f.at)}
}

func (f *rate) recall(s filterState, now time.Time) {
	if len(s.Values) == 1 {
		f.last, f.at = s.Values[0], now.Add(-s.Age)
	}
}

func (f *consecutive) state(time.Time) filterState {
	return filterState{Failed: f.failed, Streak: f.streak}
}

func (f *consecutive) recall(s filterState, _ time.Time) { f.failed, f.streak = s.Failed, s.Streak }

func (f *nOfM) state(time.Time) filterState {
	return filterState{Failures: slices.Concat(f.last[f.next:], f.last[:f.next])}
}

func (f *nOfM) recall(s filterState, _ time.Time) {
	if len(s.Failures) == len(f.last) {
		f.last, f.next = slices.Clone(s.Failures), 0
	}
}
