package health

import (
	"fmt"
	"math"
	"time"
)

// firstRuns is the time over which the first runs of the checks of a starting
// node are spread. Later ones are spread over their whole interval.
const firstRuns = time.Second

// job is one check and when it runs.
type job struct {
	check Check
	// phase in [0, 1) tells where in its interval the check runs.
	phase float64
	// anchor is when an interval of the job begins, phase included.
	anchor time.Time
	// next is when the next run is due.
	next time.Time
	// run is the one under way, or nil.
	run     *run
	removed bool
}

// run is one call of a check's function.
type run struct {
	job     *job
	started time.Time
	// late is set once the deadline passed: what the function returns is of no use
	// any more.
	late bool
}

// plan sets the first run soon after from, and the interval around its phase.
func (j *job) plan(from time.Time, shift float64) {
	phase := math.Mod(j.phase+shift, 1)
	j.anchor = from.Add(time.Duration(phase * float64(j.check.Interval)))
	j.next = from.Add(time.Duration(phase * float64(min(firstRuns, j.check.Interval))))
}

// advance sets the run after the one that is due now.
func (j *job) advance(now time.Time) {
	next := j.anchor
	if since := now.Sub(next); since >= 0 {
		next = next.Add(since.Truncate(j.check.Interval) + j.check.Interval)
	}
	if next.Sub(now) < min(j.check.Interval/2, firstRuns) {
		next = next.Add(j.check.Interval)
	}
	j.next = next
}

// wait is the time until something is to be done about j.
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

// noAnswer is the error of a check whose function has not returned.
func noAnswer(c Check, since time.Duration) error {
	if since < c.Timeout+c.Interval/2 {
		return fmt.Errorf("check did not answer within %v", c.Timeout)
	}
	return fmt.Errorf("check has not answered for %v and is not started again", since.Truncate(time.Second))
}
