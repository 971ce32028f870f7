package monitor

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// valueFilter computes the value that the thresholds apply to. It returns false
// while it has too few values. It never receives failed probes.
type valueFilter interface {
	value(v float64, at time.Time) (float64, bool)
}

// verdictFilter computes from the latest verdicts whether the monitor fails. A
// failed probe is a failure.
type verdictFilter interface {
	verdict(failed bool) bool
}

// maxWindow bounds the number of values that a filter retains.
const maxWindow = 10_000

// filterKind builds a filter, which is a valueFilter or a verdictFilter.
type filterKind func(decode func(any) error) (any, error)

// filters returns the kinds of filters by name.
func filters() map[string]filterKind {
	return map[string]filterKind{
		"average":     newAverage,
		"median":      newReduced(median),
		"max":         newReduced(slices.Max),
		"min":         newReduced(slices.Min),
		"rate":        newRate,
		"consecutive": newConsecutive,
		"nofm":        newNofM,
	}
}

// window is a ring of the latest values.
type window struct {
	values []float64
	next   int
	full   bool
}

func newWindow(size int) (*window, error) {
	if size < 1 || size > maxWindow {
		return nil, fmt.Errorf("window is %d: give 1 to %d", size, maxWindow)
	}
	return &window{values: make([]float64, size)}, nil
}

func (w *window) add(v float64) []float64 {
	w.values[w.next] = v
	w.next++
	if w.next == len(w.values) {
		w.next, w.full = 0, true
	}
	return w.filled()
}

func (w *window) filled() []float64 {
	if w.full {
		return w.values
	}
	return w.values[:w.next]
}

// average is goma's filter: the mean of the values in the window. goma counts the
// empty places of a new window as init. Here init, if it is set, is one initial
// value, and empty places do not count.
type average struct{ w *window }

func newAverage(decode func(any) error) (any, error) {
	c := struct {
		Init   *float64 `toml:"init"`
		Window int      `toml:"window"`
	}{Window: 10}
	if err := decode(&c); err != nil {
		return nil, err
	}
	w, err := newWindow(c.Window)
	if err != nil {
		return nil, err
	}
	if c.Init != nil && *c.Init != 0 {
		w.add(*c.Init)
	}
	return &average{w}, nil
}

func (f *average) value(v float64, _ time.Time) (float64, bool) {
	values := f.w.add(v)
	// Dividing before adding keeps the sum of large values finite.
	n := float64(len(values))
	var mean float64
	for _, v := range values {
		mean += v / n
	}
	return mean, true
}

// reduced applies a function such as the median to the values in the window.
type reduced struct {
	w      *window
	reduce func([]float64) float64
}

func newReduced(reduce func([]float64) float64) filterKind {
	return func(decode func(any) error) (any, error) {
		c := struct {
			Window int `toml:"window"`
		}{Window: 10}
		if err := decode(&c); err != nil {
			return nil, err
		}
		w, err := newWindow(c.Window)
		if err != nil {
			return nil, err
		}
		return &reduced{w, reduce}, nil
	}
}

func (f *reduced) value(v float64, _ time.Time) (float64, bool) {
	return f.reduce(f.w.add(v)), true
}

func median(w []float64) float64 {
	s := slices.Clone(w)
	slices.Sort(s)
	m := len(s) / 2
	if len(s)%2 == 1 {
		return s[m]
	}
	return s[m-1]/2 + s[m]/2
}

// rate is the change of the value per second since the previous probe. It is
// negative if the value falls. The first value has no rate.
type rate struct {
	last float64
	at   time.Time
}

func newRate(decode func(any) error) (any, error) {
	if err := decode(&struct{}{}); err != nil {
		return nil, err
	}
	return &rate{}, nil
}

func (f *rate) value(v float64, at time.Time) (float64, bool) {
	last, before := f.last, f.at
	f.last, f.at = v, at
	elapsed := at.Sub(before).Seconds()
	if before.IsZero() || elapsed <= 0 {
		return 0, false
	}
	return v/elapsed - last/elapsed, true
}

// consecutive fails after fail failures in a row and recovers after recover
// successes in a row.
type consecutive struct {
	fail, recover int
	failed        bool
	streak        int
}

func newConsecutive(decode func(any) error) (any, error) {
	c := struct {
		Fail    int `toml:"fail"`
		Recover int `toml:"recover"`
	}{3, 2}
	if err := decode(&c); err != nil {
		return nil, err
	}
	if c.Fail < 1 || c.Fail > maxWindow || c.Recover < 1 || c.Recover > maxWindow {
		return nil, fmt.Errorf("fail is %d and recover %d: give 1 to %d", c.Fail, c.Recover, maxWindow)
	}
	return &consecutive{fail: c.Fail, recover: c.Recover}, nil
}

func (f *consecutive) verdict(failed bool) bool {
	if failed == f.failed {
		f.streak = 0
		return f.failed
	}
	f.streak++
	need := f.fail
	if f.failed {
		need = f.recover
	}
	if f.streak >= need {
		f.failed, f.streak = failed, 0
	}
	return f.failed
}

// nOfM fails while at least n of the last m probes failed.
type nOfM struct {
	n    int
	last []bool
	next int
}

func newNofM(decode func(any) error) (any, error) {
	c := struct {
		N int `toml:"n"`
		M int `toml:"m"`
	}{3, 5}
	if err := decode(&c); err != nil {
		return nil, err
	}
	if c.M < 1 || c.M > maxWindow {
		return nil, fmt.Errorf("m is %d: give 1 to %d", c.M, maxWindow)
	}
	if c.N < 1 || c.N > c.M {
		return nil, errors.New("n must be at least 1 and at most m")
	}
	return &nOfM{n: c.N, last: make([]bool, c.M)}, nil
}

func (f *nOfM) verdict(failed bool) bool {
	f.last[f.next] = failed
	f.next = (f.next + 1) % len(f.last)
	count := 0
	for _, past := range f.last {
		if past {
			count++
		}
	}
	return count >= f.n
}
