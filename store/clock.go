package store

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// tick is how often silence is judged. Judgements are late by at most this
	// much, or twice as much if nobody asks.
	tick = 250 * time.Millisecond

	// frozenAfter is how long nothing may happen before the process itself is
	// taken to have been stopped. Run looks 20 times in that time.
	frozenAfter = 5 * time.Second
)

// clock tells the time that publishers are judged by: how long the store has
// been running. Jumps of the wall clock do not touch it, and it stands still
// while the process is frozen (SIGSTOP, a paused machine), because silence that
// nobody could hear is no fault of the publishers.
//
// The wall clock is only asked for what people read, once a tick, because
// asking takes as long as the rest of a Put.
type clock struct {
	mono func() time.Duration // raw, since the store was made
	wall func() time.Time

	// ticking is set while Run looks once a tick, so that a gap means something.
	ticking bool
	last    time.Duration // raw, of the last look
	frozen  time.Duration // in all
	readAt  time.Duration // when wall was asked last, by our time
	read    int64         // what it said, in unix nanoseconds

	// due is the raw time from which on something has to be judged.
	due atomic.Int64
}

func (c *clock) init() {
	start := time.Now()
	c.mono = func() time.Duration { return time.Since(start) }
	c.wall = time.Now
	c.read = start.UnixNano()
}

// now returns our time. The caller holds the lock of the store.
func (c *clock) now() time.Duration {
	raw := c.mono()
	if gap := raw - c.last; c.ticking && gap > frozenAfter {
		c.frozen += gap
	}
	c.last = raw
	return raw - c.frozen
}

// sinceStart returns our time to a caller that holds the lock for reading only: a
// gap that now has not seen yet is none of it.
func (c *clock) sinceStart() time.Duration {
	raw := c.mono()
	if c.ticking && raw-c.last > frozenAfter {
		raw = c.last
	}
	return raw - c.frozen
}

// overdue tells, without the lock, whether something has to be judged.
func (c *clock) overdue() bool { return int64(c.mono()) >= c.due.Load() }

// readWall asks the wall clock.
func (c *clock) readWall(now time.Duration) {
	c.readAt, c.read = now, c.wall().UnixNano()
}

// unixNano returns the wall time that belongs to now.
func (c *clock) unixNano(now time.Duration) int64 { return c.read + int64(now-c.readAt) }

// unix is unixNano in seconds.
func (c *clock) unix(now time.Duration) int64 { return c.unixNano(now) / int64(time.Second) }

// stamp packs unix seconds, which fit until 2106.
func stamp(unix int64) uint32 { return uint32(min(max(unix, 0), math.MaxUint32)) }

// ticks returns the number of whole ticks in t.
func ticks(t time.Duration) uint32 { return uint32(t / tick) }

// ticksUp returns the first tick that is not before t.
func ticksUp(t time.Duration) uint32 { return uint32((t + tick - 1) / tick) }
