package monitor

import (
	"sync/atomic"
	"time"

	"github.com/microhq/monitor-srv/clock"
)

// Counters are the metrics of a Group.
type Counters struct {
	// Monitors counts all monitors, Running those that are not stopped, Probing the
	// probes that run now.
	Monitors, Running, Probing int
	// Probes counts all probes since the Group exists, Failures the failed ones.
	// Missed counts those that were skipped because one took longer than its
	// interval, the limit of its kind was reached or the process was overloaded.
	Probes, Failures, Missed int64
	// LatenessP99 and LatenessMax are the delays of the probes of the last minute
	// after they were due. The error of LatenessP99 is at most 20 %.
	LatenessP99, LatenessMax time.Duration
	// Lateness are the delays of all probes.
	Lateness clock.Histogram
}

// Counters returns the metrics of the Group.
func (g *Group) Counters() Counters {
	c := Counters{
		Probing: int(g.count.running.Load()), Probes: g.count.probes.Load(),
		Failures: g.count.failures.Load(), Missed: g.count.missed.Load(),
	}
	c.LatenessP99, c.LatenessMax = g.count.lateness.lastMinute(g.clock.Now())
	c.Lateness = g.count.lateness.all()
	all := g.sorted()
	c.Monitors = len(all)
	for _, r := range all {
		if r.running() {
			c.Running++
		}
	}
	return c
}

// counts are totals of all monitors, including removed ones.
type counts struct {
	running                  atomic.Int64
	probes, failures, missed atomic.Int64
	lateness                 lateness
}

// began counts a probe that starts now and returns its delay.
func (c *counts) began(due, now time.Time) (late time.Duration) {
	c.running.Add(1)
	late = now.Sub(due)
	c.lateness.add(now, late)
	return late
}
