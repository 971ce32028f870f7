package monitor

import (
	"fmt"
	"slices"
	"time"
)

// A RateError says that monitors are registered too fast.
type RateError struct {
	// Max is how many may be registered within a second.
	Max int
	// Wait is how long the next has to wait, more than 0 and at most a second.
	Wait time.Duration
}

// Error says when to try again, in full seconds.
func (e *RateError) Error() string {
	return fmt.Sprintf("at most %d monitors may be registered within a second: try again in 1s", e.Max)
}

// RetryAfter returns how long to wait.
func (e *RateError) RetryAfter() time.Duration { return e.Wait }

// room returns nil if a monitor more may be registered by the owner, which counts
// it against the rate. Monitors that could not be restored count too, because
// they are in the journal. g.changes is held.
func (g *Group) checkLimits(owner string) error {
	registered := g.registered()
	n, own := len(registered)+len(g.unrestored), 0
	for _, r := range registered {
		if r.def.Owner == owner {
			own++
		}
	}
	for _, s := range g.unrestored {
		if s.Owner == owner {
			own++
		}
	}
	switch {
	case n >= g.cfg.MaxRegistered:
		return fmt.Errorf("%w: %d are the most; unregister some, or define them in files", ErrFull, g.cfg.MaxRegistered)
	case owner != "" && own >= g.cfg.MaxOwned:
		return fmt.Errorf("%w with this token: %d are the most; unregister some, use another token, or define them in files", ErrFull, g.cfg.MaxOwned)
	}
	if wait := g.registerRate.reserve(g.cfg.MaxPerSecond, time.Now()); wait > 0 {
		return &RateError{Max: g.cfg.MaxPerSecond, Wait: wait}
	}
	return nil
}

// pace lets pass a number of things within any second. The zero value is ready.
type rateLimiter struct{ recent []time.Time }

// take returns 0 if one more may pass, and counts it; else how long it has to wait.
func (p *rateLimiter) reserve(most int, now time.Time) time.Duration {
	p.recent = slices.DeleteFunc(p.recent, func(t time.Time) bool { return now.Sub(t) >= time.Second })
	if len(p.recent) >= most {
		return time.Second - now.Sub(p.recent[0])
	}
	p.recent = append(p.recent, now)
	return 0
}
