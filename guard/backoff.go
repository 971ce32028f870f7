package guard

import (
	"context"
	"math/rand/v2"
	"time"
)

// Default bounds of the delay between retries. A component is back within seconds
// of the return of what it needs, and does not overload it while it starts.
const (
	DefaultRetryMin = time.Second
	DefaultRetryMax = 5 * time.Second
)

// Backoff computes the delays between retries: the minimum first, then doubled up
// to the maximum. Each delay is shortened at random by up to a quarter, so that
// many processes do not retry at the same time. The zero value is ready to use.
type Backoff struct {
	last time.Duration
}

// Next returns the delay before the next retry, between three quarters of lo and hi.
func (b *Backoff) Next(lo, hi time.Duration) time.Duration {
	b.last = min(max(lo, 2*b.last), hi)
	return b.last - rand.N(b.last/4+1)
}

// Reset makes the next delay the minimum again.
func (b *Backoff) Reset() { b.last = 0 }

// Pause waits for d. It returns false if ctx ends before.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
