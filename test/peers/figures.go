package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// watched is what a program did and used while it was watched.
type watched struct {
	starts []start
	cpu    time.Duration
	memory memory
	took   time.Duration
}

// watch lets the process work for a while and returns what it did.
// It fails if that is less than nine tenths of the rate wanted.
func (b *bench) watch(ctx context.Context, p *process, f fleet, d time.Duration) (w watched, err error) {
	program := f.program
	b.target.take(program)
	begin := time.Now()
	before, err := p.cpu()
	if err != nil {
		return w, err
	}
	if err := p.sleep(ctx, d); err != nil {
		return w, err
	}
	after, err := p.cpu()
	if err != nil {
		return w, err
	}
	w.took, w.cpu = time.Since(begin), after-before
	w.starts = b.target.take(program)
	if want := float64(f.monitors) * w.took.Seconds() / f.interval.Seconds(); float64(len(w.starts)) < 0.9*want {
		return w, fmt.Errorf("%s made %d probes in %v, not %.0f", p.name, len(w.starts), w.took, want)
	}
	w.memory, err = p.memory()
	return w, err
}

// figures returns them as units of a benchmark. The interval is that of the
// monitors; zero if they have none of their own.
func (w watched) figures(interval time.Duration) []figure {
	n := float64(len(w.starts))
	f := []figure{
		{w.cpu.Seconds() * 1000 / n, "CPU-s/1000"},
		{w.memory.rss, "RSS-MB"},
		{w.memory.own, "heap-MB"},
		{n / w.took.Seconds(), "probes/s"},
		{float64(mostIn(w.starts, 100*time.Millisecond)), "most/100ms"},
		{float64(mostIn(w.starts, 100*time.Millisecond)) / (n / w.took.Seconds() / 10), "x-mean"},
	}
	if interval > 0 {
		late := lateness(w.starts, interval)
		f = append(f,
			figure{millis(quantile(late, 0.99)), "late-p99-ms"},
			figure{millis(drift(w.starts, interval)), "drift-ms/min"})
	}
	return f
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// mostIn returns the largest number of starts in any span of that length.
func mostIn(starts []start, span time.Duration) int {
	slices.SortFunc(starts, func(a, b start) int { return a.at.Compare(b.at) })
	most, first := 0, 0
	for i := range starts {
		for starts[i].at.Sub(starts[first].at) >= span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// lateness returns for each start how much later it came than the earliest
// phase of its monitor says.
func lateness(starts []start, interval time.Duration) []time.Duration {
	var all []time.Duration
	for _, times := range byMonitor(starts) {
		var phases []time.Duration
		for _, at := range times {
			k := at.Sub(times[0]).Round(interval)
			phases = append(phases, at.Sub(times[0])-k)
		}
		earliest := slices.Min(phases)
		for _, p := range phases {
			all = append(all, p-earliest)
		}
	}
	return all
}

// drift returns by how much the pace of the median monitor is off in a minute.
func drift(starts []start, interval time.Duration) time.Duration {
	var all []time.Duration
	for _, times := range byMonitor(starts) {
		span := times[len(times)-1].Sub(times[0])
		if len(times) > 1 {
			all = append(all, time.Duration(float64(span-span.Round(interval))/span.Minutes()))
		}
	}
	return quantile(all, 0.5)
}

func byMonitor(starts []start) map[int][]time.Time {
	m := map[int][]time.Time{}
	slices.SortFunc(starts, func(a, b start) int { return a.at.Compare(b.at) })
	for _, s := range starts {
		m[s.monitor] = append(m[s.monitor], s.at)
	}
	return m
}

// quantile sorts the values and returns the one at that share of them; zero if
// there is none.
func quantile[T cmp.Ordered](values []T, share float64) T {
	var zero T
	if len(values) == 0 {
		return zero
	}
	slices.Sort(values)
	return values[min(len(values)-1, int(share*float64(len(values))))]
}
