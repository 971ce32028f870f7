package testkit

import (
	"context"
	"sync"
	"testing"
	"time"
)

// Runner runs until its context ends.
type Runner interface{ Run(context.Context) error }

// Run runs r until stop is called or the test ends. An error of r fails the test.
// stop waits for r and returns how long r took to end.
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
