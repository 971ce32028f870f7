package store

import (
	"math"
	"sync/atomic"
	"time"

	monotonic "github.com/microhq/monitor-srv/clock"
)

const (
	// tick is how often staleness is judged. Judgements are late by at most one tick,
	// or by two if nobody queries.
	tick = 250 * time.Millisecond

	// frozenAfter without a tick means that the process was stopped. Run ticks 20 times
	// in that time.
	frozenAfter = 5 * time.Second
)

// clock is the clock for judging publishers: how long the store has been running.
// Jumps of the wall clock do not affect it. It stops while the process is frozen
// (SIGSTOP, a paused machine), because events cannot be received then.
//
// The wall clock is read only for times that people see, once a tick, because reading
// it takes as long as the rest of a Put.
type clock struct {
	mono func() time.Duration // raw monotonic time since the store was made
	wall func() time.Time

	// ticking is set while Run ticks, so that a gap means that the process was frozen.
	ticking bool
	last    time.Duration // raw time of the last reading
	frozen  time.Duration // total
	readAt  time.Duration // when wall was read last, by this clock
	read    int64         // the wall time then, in unix nanoseconds

	// due is the raw time of the next judgement.
	due atomic.Int64
}

func (c *clock) init() {
	c.mono = monotonic.New().Elapsed
	c.wall = time.Now
	c.readWall(0)
}

// now returns the time of the clock. The caller holds the lock of the store.
func (c *clock) now() time.Duration {
	raw := c.mono()
	if gap := raw - c.last; c.ticking && gap > frozenAfter {
		c.frozen += gap
	}
	c.last = raw
	return raw - c.frozen
}

// sinceStart returns the time of the clock to a caller that holds the lock for reading
// only. It leaves out a gap that now has not seen yet.
func (c *clock) sinceStart() time.Duration {
	raw := c.mono()
	if c.ticking && raw-c.last > frozenAfter {
		raw = c.last
	}
	return raw - c.frozen
}

// overdue reports, without the lock, whether a judgement is due.
func (c *clock) overdue() bool { return int64(c.mono()) >= c.due.Load() }

// readWall reads the wall clock.
func (c *clock) readWall(now time.Duration) {
	c.readAt, c.read = now, c.wall().UnixNano()
}

// unixNano returns the wall time at now.
func (c *clock) unixNano(now time.Duration) int64 { return c.read + int64(now-c.readAt) }

// unix is unixNano in seconds.
func (c *clock) unix(now time.Duration) int64 { return c.unixNano(now) / int64(time.Second) }

// stamp packs unix seconds. They fit until 2106.
func stamp(unix int64) uint32 { return uint32(min(max(unix, 0), math.MaxUint32)) }

// ticks returns the number of whole ticks in t.
func ticks(t time.Duration) uint32 { return uint32(t / tick) }

// ticksUp returns the first tick that is not before t.
func ticksUp(t time.Duration) uint32 { return uint32((max(t, 0) + tick - 1) / tick) }
