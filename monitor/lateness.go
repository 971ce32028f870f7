package monitor

import (
	"math"
	"sync"
	"time"
)

const (
	// latenessPeriods of latenessPeriod each are retained: one minute.
	latenessPeriod  = 10 * time.Second
	latenessPeriods = 6
	// latenessBuckets reach from 1 ms to 1.2^60 ms, one minute.
	latenessBuckets = 60
	latenessGrowth  = 1.2
)

// lateness is a histogram of the delays of the last minute.
type lateness struct {
	since time.Time // the start of the first period, of the clock of the Group

	mu      sync.Mutex
	periods [latenessPeriods]periodCounts // guarded by mu; a ring
}

// period returns the number of the period of a time. It is at least
// latenessPeriods, so that the zero periodCounts is an expired one.
func (l *lateness) period(now time.Time) int64 {
	return int64(now.Sub(l.since)/latenessPeriod) + latenessPeriods
}

// periodCounts is the histogram of one period.
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

// latenessBucket returns the first bucket whose bound is not below late.
func latenessBucket(late time.Duration) int {
	if late <= time.Millisecond {
		return 0
	}
	b := math.Ceil(math.Log(float64(late)/float64(time.Millisecond)) / math.Log(latenessGrowth))
	return min(int(b), latenessBuckets)
}

// lastMinute returns the 99th percentile and the maximum of the last minute.
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
