package monitor

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Counters tell how a Group does, for metrics.
type Counters struct {
	// Monitors there are, of which Running are not stopped; Probing counts the
	// probes under way.
	Monitors, Running, Probing int
	// Probes made since the Group exists, those of them that failed, and those
	// that were missed because one ran longer than its interval, or this process
	// or a bound on probes of a kind was too slow. They never fall.
	Probes, Failures, Missed int64
	// LatenessP99 and LatenessMax tell how long after they were due the probes of
	// the last minute began; the first is exact to a fifth.
	LatenessP99, LatenessMax time.Duration
}

// Counters returns how the Group does.
func (g *Group) Counters() Counters {
	c := Counters{
		Probing: int(g.count.running.Load()), Probes: g.count.probes.Load(),
		Failures: g.count.failures.Load(), Missed: g.count.missed.Load(),
	}
	c.LatenessP99, c.LatenessMax = g.count.lateness.lastMinute(time.Now())
	all := g.sorted()
	c.Monitors = len(all)
	for _, r := range all {
		if r.running() {
			c.Running++
		}
	}
	return c
}

// counts of a Group; they outlive the monitors that they count for.
type counts struct {
	running                  atomic.Int64
	probes, failures, missed atomic.Int64
	lateness                 lateness
	changes                  changeLimit
}

// began counts a probe that begins now.
func (c *counts) began(due, now time.Time) {
	c.running.Add(1)
	c.lateness.add(now, now.Sub(due))
}

const (
	// latePart and lateParts divide the minute that lateness is kept for.
	latenessPeriod  = 10 * time.Second
	latenessPeriods = 6
	// lateBuckets of growing width reach from 1 ms to 1.2^60 ms, a minute.
	latenessBuckets = 60
	latenessGrowth  = 1.2
)

// lateness keeps how late things of the last minute were.
type lateness struct {
	since time.Time // the clock of numbers begins then

	mu      sync.Mutex
	periods [latenessPeriods]periodCounts // guarded by mu; a ring
}

// number returns that of the part that a time is in; at least lateParts, so that
// a part that was never used is an old one.
func (l *lateness) period(now time.Time) int64 {
	return int64(now.Sub(l.since)/latenessPeriod) + latenessPeriods
}

// latePeriod is one part of the minute.
type periodCounts struct {
	period  int64
	buckets [latenessBuckets + 1]int
	max     time.Duration
}

func (l *lateness) add(now time.Time, late time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	number := l.period(now)
	p := &l.periods[number%latenessPeriods]
	if p.period != number {
		*p = periodCounts{period: number}
	}
	p.buckets[latenessBucket(late)]++
	p.max = max(p.max, late)
}

// lateBucket returns the first bucket whose bound is not below late.
func latenessBucket(late time.Duration) int {
	if late <= time.Millisecond {
		return 0
	}
	b := math.Ceil(math.Log(float64(late)/float64(time.Millisecond)) / math.Log(latenessGrowth))
	return min(int(b), latenessBuckets)
}

// last returns the 99th percentile and the maximum of the last minute.
func (l *lateness) lastMinute(now time.Time) (p99, most time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	number := l.period(now)
	var sum [latenessBuckets + 1]int
	n := 0
	for _, p := range &l.periods {
		if p.period <= number-latenessPeriods || p.period > number {
			continue
		}
		for b, c := range p.buckets {
			sum[b] += c
			n += c
		}
		most = max(most, p.max)
	}
	below := 0
	for b, c := range sum {
		if below += c; n > 0 && below*100 >= n*99 {
			bound := time.Duration(math.Pow(latenessGrowth, float64(b)) * float64(time.Millisecond))
			return min(bound, most), most
		}
	}
	return most, most
}
