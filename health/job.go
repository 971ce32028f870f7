package health

import (
	"fmt"
	"math"
	"time"
)

// startSpread is the time over which the first runs of the checks of a starting node
// are spread. Later runs are spread over the whole interval.
const startSpread = time.Second

// job is a check and its schedule.
type job struct {
	check Check
	// phase in [0, 1) is the place of the runs within the interval.
	phase float64
	// anchor is a time at which a run is planned, and one interval later the next.
	anchor time.Time
	// next is the time of the next run.
	next time.Time
	// run is the run under way, or nil.
	run     *run
	removed bool
}

// run is one call of a check's function.
type run struct {
	job     *job
	started time.Time
	// late is set when the timeout has passed: the result of the function is ignored.
	late bool
}

// plan sets the first run soon after from, and the interval around its phase.
func (j *job) plan(from time.Time, shift float64) {
	phase := math.Mod(j.phase+shift, 1)
	j.anchor = from.Add(time.Duration(phase * float64(j.check.Interval)))
	j.next = from.Add(time.Duration(phase * float64(min(startSpread, j.check.Interval))))
}

// advance sets the run after the one that is due now.
func (j *job) advance(now time.Time) {
	next := j.anchor
	if since := now.Sub(next); since >= 0 {
		next = next.Add(since.Truncate(j.check.Interval) + j.check.Interval)
	}
	if next.Sub(now) < min(j.check.Interval/2, startSpread) {
		next = next.Add(j.check.Interval)
	}
	j.next = next
}

// wait returns the time until the scheduler has to look at j again.
func (j *job) wait(now time.Time) time.Duration {
	if j.removed {
		return math.MaxInt64
	}
	wait := j.next.Sub(now)
	if j.run != nil && !j.run.late {
		wait = min(wait, j.run.started.Add(j.check.Timeout).Sub(now))
	}
	return wait
}

// timeoutError is the error of a check that has not returned since its start.
func timeoutError(c Check, since time.Duration) error {
	if since < c.Timeout+c.Interval/2 {
		return fmt.Errorf("check did not answer within %v", c.Timeout)
	}
	return fmt.Errorf("check has not answered for %v and is not started again", since.Truncate(time.Second))
}
