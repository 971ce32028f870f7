package testkit

import (
	"testing"
	"time"
)

// pollInterval is the pause between two polls.
const pollInterval = 5 * time.Millisecond

// Eventually polls until ok returns true and returns how long that took. It ends
// the test if ok is still false after the timeout.
func Eventually(t testing.TB, timeout time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	if !Within(timeout, ok) {
		t.Fatalf("not within %v: %s", timeout, what)
	}
	return time.Since(start)
}

// Within polls until ok returns true, at most for the timeout. It reports whether
// ok returned true.
func Within(timeout time.Duration, ok func() bool) bool {
	for start := time.Now(); !ok(); <-time.After(pollInterval) {
		if time.Since(start) > timeout {
			return false
		}
	}
	return true
}
