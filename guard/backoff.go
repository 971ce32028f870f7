package guard

import (
	"math/rand/v2"
	"time"
)

// Retries start after one second and settle at five: short enough to be back
// within seconds of a return, long enough not to burden what is coming up.
const (
	DefaultRetryMin = time.Second
	DefaultRetryMax = 5 * time.Second
)

// backoff gives the delays between retries: min, doubling up to max, each
// shortened by up to a quarter so that many processes do not retry in step.
// The zero value starts at min; reset makes it start there again.
type Backoff struct {
	last time.Duration
}

func (b *Backoff) Next(lo, hi time.Duration) time.Duration {
	b.last = min(max(lo, 2*b.last), hi)
	return b.last - rand.N(b.last/4+1)
}

func (b *Backoff) Reset() { b.last = 0 }
