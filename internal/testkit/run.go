package testkit

import (
	"context"
	"sync"
	"testing"
	"time"
)

// Runner is anything with a Run.
type Runner interface{ Run(context.Context) error }

// Run runs r until the test ends or stop is called, which tells how long it took.
func Run(t testing.TB, r Runner) (stop func() time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceValue(func() time.Duration {
		start := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		return time.Since(start)
	})
	t.Cleanup(func() { stop() })
	return stop
}
