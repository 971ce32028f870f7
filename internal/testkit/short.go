package testkit

import (
	"os"
	"testing"
	"time"
)

// SkipShort skips a test of many seconds where only the quick ones are wanted.
func SkipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes many seconds; make test runs it")
	}
}

// nightly tells whether the long variants are wanted.
func nightly() bool { return os.Getenv("MONITOR_LONG") == "1" }

// Scale gives the short or the long time of a case.
func Scale(short, long time.Duration) time.Duration {
	if nightly() {
		return long
	}
	return short
}
