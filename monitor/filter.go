package monitor

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// valueFilter turns the newest value into the one to judge. It answers false
// while it has too few values to tell. Failed probes never reach it.
type valueFilter interface {
	value(v float64, at time.Time) (float64, bool)
}

// verdictFilter turns the newest verdict of the thresholds into the one to act
// on. Failed probes reach it as failures.
type verdictFilter interface {
	verdict(failed bool) bool
}

// maxWindow bounds the values a filter holds.
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

// window holds the last values, oldest overwritten first.
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

// average is goma's filter: the mean of the values in the window. While the
// window fills, goma counted its empty places as init; here an init that the
// document gives stands for one value that is there from the start, and
// otherwise the mean is that of the values present.
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
	present := f.w.add(v)
	// Dividing first keeps the sum of large values finite.
	n := float64(len(present))
	var mean float64
	for _, v := range present {
		mean += v / n
	}
	return mean, true
}

// reduced applies a function to the values in the window.
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

// rate is the change of the value per second since the probe before, negative
// while the value falls. It tells nothing of the first value.
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
// successes in a row; in between it stays what it was.
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
	for _, bad := range f.last {
		if bad {
			count++
		}
	}
	return count >= f.n
}
