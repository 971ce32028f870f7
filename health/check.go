package health

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits of a check. The monitoring service has the same limits.
const (
	// MaxChecks is the greatest number of checks of one Reporter.
	MaxChecks = 200
	// MinInterval is the shortest interval of a check and of a Reporter.
	MinInterval = time.Second
	// MaxInterval is the longest interval of a check and of a Reporter.
	MaxInterval = time.Hour
	// MaxTTL is the longest TTL of a check and of a Reporter.
	MaxTTL = 24 * time.Hour
	// DefaultTimeout is the timeout of a check whose interval is not shorter.
	DefaultTimeout = 5 * time.Second
)

// CheckFunc is the function of a check. It returns results to show, if any, and nil
// if all is well. With an error made by Warning the check is WARNING, with another
// error it is ERROR, and so it is if the function panics.
//
// ctx ends a tenth of the timeout before the timeout, so a function that obeys it
// can still return what it was waiting for. It also ends when the Reporter is
// closed.
//
// The Reporter copies results when the function returns.
type CheckFunc func(ctx context.Context) (results map[string]string, err error)

// Check is a health check that a Reporter runs and publishes at an interval.
type Check struct {
	// ID identifies the check within the node, such as "go.micro.healthcheck.db".
	// Required; at most MaxCheckID bytes of UTF-8 without control characters.
	ID string
	// Description is a text for people, such as "the database answers". Optional; at
	// most MaxText bytes, more is truncated.
	Description string
	// Run is the function. Required. It is never called while an earlier call has not
	// returned.
	Run CheckFunc
	// Timeout is the time limit of one run, at most the interval. Zero means
	// DefaultTimeout or the interval, whichever is shorter.
	Timeout time.Duration
	// Interval is the time between the starts of two runs, from MinInterval to
	// MaxInterval. Zero means the interval of the Reporter. Events carry it in whole
	// seconds, rounded up.
	Interval time.Duration
	// TTL is the time after which the check is missing if nothing more is published,
	// from the interval to MaxTTL. Zero means the TTL of the Reporter or three
	// intervals, whichever is longer.
	TTL time.Duration
}

// withDefaults sets the fields that are zero and validates the others.
func (c Check) withDefaults(interval, ttl time.Duration) (Check, error) {
	if err := validateName(c.ID, MaxCheckID); err != nil {
		return c, fmt.Errorf("check id %.40q %w", c.ID, err)
	}
	if c.Run == nil {
		return c, fmt.Errorf("check %q has no function", c.ID)
	}
	if c.Interval == 0 {
		c.Interval = interval
	}
	if err := validateInterval(c.Interval); err != nil {
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
	if err := validateTTL(c.TTL, c.Interval); err != nil {
		return c, fmt.Errorf("check %q: %w", c.ID, err)
	}
	c.Description, _ = truncate(c.Description, MaxText)
	return c, nil
}

func validateInterval(d time.Duration) error {
	if d < MinInterval || d > MaxInterval {
		return fmt.Errorf("interval %v must be from %v to %v", d, MinInterval, MaxInterval)
	}
	return nil
}

func validateTTL(ttl, interval time.Duration) error {
	if ttl < interval || ttl > MaxTTL {
		return fmt.Errorf("ttl %v must be from the interval, %v, to %v", ttl, interval, MaxTTL)
	}
	return nil
}

// Warning marks the error of a check as a warning: the check is WARNING instead of
// ERROR. The result wraps err. Warning(nil) is nil.
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
