package monitor

import (
	"math"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/clock"
)

const (
	// latenessPeriods of latenessPeriod each are retained: one minute.
	latenessPeriod  = 10 * time.Second
	latenessPeriods = 6
	// latenessBuckets reach from 1 ms to 1.2^60 ms, one minute.
	latenessBuckets = 60
	latenessGrowth  = 1.2
)

// lateness has histograms of the delays of the last minute and of all.
type lateness struct {
	since time.Time // the start of the first period, of the clock of the Group

	mu      sync.Mutex
	periods [latenessPeriods]periodCounts // guarded by mu; a ring
	total   clock.Histogram               // guarded by mu
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
	l.total.Add(late)
}

// init begins the first period at a time of the clock of the Group.
func (l *lateness) init(now time.Time) {
	l.since = now
	l.total = clock.NewHistogram(
		time.Millisecond, 5*time.Millisecond, 10*time.Millisecond, 25*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond,
		250*time.Millisecond, 500*time.Millisecond, time.Second, 5*time.Second, 10*time.Second, time.Minute,
	)
}

// all returns the histogram of all delays.
func (l *lateness) all() clock.Histogram {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total.Copy()
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
