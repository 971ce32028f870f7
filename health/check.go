package health

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits of a check. The monitoring service holds the same ones.
const (
	// MaxChecks is the number of checks of one Reporter.
	MaxChecks = 200
	// MinInterval and MaxInterval bound the interval of checks and of a Reporter.
	// An event tells it in whole seconds.
	MinInterval = time.Second
	MaxInterval = time.Hour
	// MaxTTL bounds the ttl of an event.
	MaxTTL = 24 * time.Hour
	// DefaultTimeout of a check, if its interval is not shorter.
	DefaultTimeout = 5 * time.Second
)

// CheckFunc judges one thing. It returns figures and words worth showing, if it
// has any, and nil if all is well. An error made by Warning makes the check
// WARNING, any other one ERROR, and so does a panic.
//
// The context ends a tenth of the check's timeout before the timeout, so that a
// function that obeys it can still say what it was waiting for.
type CheckFunc func(ctx context.Context) (results map[string]string, err error)

// Check is one named judgement that a Reporter makes and publishes again and
// again.
type Check struct {
	// ID of the check, unique within the node, at most MaxCheckID bytes, such as
	// "go.micro.healthcheck.db".
	ID string
	// Description in words, such as "the database answers". Cut at MaxText bytes.
	Description string
	// Run judges. It is never called while an earlier call has not returned.
	Run CheckFunc
	// Timeout of one run, at most the interval. If zero, DefaultTimeout or the
	// interval, whichever is shorter.
	Timeout time.Duration
	// Interval between two runs, MinInterval to MaxInterval. If zero, that of the
	// Reporter.
	Interval time.Duration
	// TTL tells the monitoring service when a silent check is missing, at most
	// MaxTTL. If zero, that of the Reporter, or three intervals if that is longer.
	TTL time.Duration
}

// withDefaults fills what is zero and checks the rest.
func (c Check) withDefaults(interval, ttl time.Duration) (Check, error) {
	if err := checkName(c.ID, MaxCheckID); err != nil {
		return c, fmt.Errorf("check id %.40q %w", c.ID, err)
	}
	if c.Run == nil {
		return c, fmt.Errorf("check %q has no function", c.ID)
	}
	if c.Interval == 0 {
		c.Interval = interval
	}
	if err := checkInterval(c.Interval); err != nil {
		return c, fmt.Errorf("check %q: %w", c.ID, err)
	}
	if c.Timeout == 0 {
		c.Timeout = min(DefaultTimeout, c.Interval)
	}
	if c.Timeout < 0 || c.Timeout > c.Interval {
		return c, fmt.Errorf("check %q: timeout %v must be more than 0 and at most the interval, %v", c.ID, c.Timeout, c.Interval)
	}
	if c.TTL == 0 {
		c.TTL = min(max(ttl, 3*c.Interval), MaxTTL)
	}
	if err := checkTTL(c.TTL, c.Interval); err != nil {
		return c, fmt.Errorf("check %q: %w", c.ID, err)
	}
	c.Description, _ = clip(c.Description, MaxText)
	return c, nil
}

func checkInterval(d time.Duration) error {
	if d < MinInterval || d > MaxInterval {
		return fmt.Errorf("interval %v must be from %v to %v", d, MinInterval, MaxInterval)
	}
	return nil
}

func checkTTL(ttl, interval time.Duration) error {
	if ttl < interval || ttl > MaxTTL {
		return fmt.Errorf("ttl %v must be from the interval, %v, to %v", ttl, interval, MaxTTL)
	}
	return nil
}

// Warning marks an error of a check as one that is not yet a failure. Warning of
// nil is nil.
func Warning(err error) error {
	if err == nil {
		return nil
	}
	return &warning{err}
}

type warning struct{ err error }

func (w *warning) Error() string { return w.err.Error() }
func (w *warning) Unwrap() error { return w.err }

func isWarning(err error) bool {
	var w *warning
	return errors.As(err, &w)
}
