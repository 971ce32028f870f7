// Package clock tells the time by which work is scheduled and ages are measured.
package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock tells times whose differences follow the monotonic clock, whatever somebody
// sets the wall clock to. Those of time.Now do not always: in a year after 2157 it has
// no monotonic reading, and a time that was due then is due in centuries once the clock
// is set back.
//
// The times of one Clock are compared with each other only: they do not follow changes
// of the wall clock, and are not shown to people.
type Clock struct {
	start   time.Time
	elapsed func() time.Duration // since start
}

// lastMonotonicYear is when time.Now ceases to have a monotonic reading, in March.
const lastMonotonicYear = 2157

// New returns a Clock. Inside a bubble of testing/synctest it is that of the bubble.
func New() *Clock { return newClock(time.Now(), uptime) }

func newClock(start time.Time, uptime func() time.Duration) *Clock {
	c := &Clock{start: start, elapsed: func() time.Duration { return time.Since(start) }}
	if start.Year() >= lastMonotonicYear {
		before := uptime()
		c.elapsed = func() time.Duration { return uptime() - before }
	}
	return c
}

// Elapsed returns the time since New.
func (c *Clock) Elapsed() time.Duration { return c.elapsed() }

// Now returns the current time of the Clock.
func (c *Clock) Now() time.Time { return c.start.Add(c.elapsed()) }

// Since returns the time elapsed since t, a time of the Clock.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Wall returns the time of the wall clock at which the Clock shows t, for people. It is
// zero for the zero time.
func (c *Clock) Wall(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.Now().Add(t.Sub(c.Now()))
}

// uptime returns the time since the system started, without the time that it was
// suspended.
func uptime() time.Duration { return read(unix.CLOCK_MONOTONIC) }

// SinceBoot returns the time since the system started, suspended or not.
func SinceBoot() time.Duration { return read(unix.CLOCK_BOOTTIME) }

// Suspended returns how long the system was suspended since it started. It differs from
// call to call by some microseconds.
func Suspended() time.Duration { return SinceBoot() - uptime() }

func read(id int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0 // Linux has both clocks since 2011
	}
	return time.Duration(t.Nano())
}
