package testkit

import (
	"os"
	"testing"
	"time"
)

// SkipIfShort skips a test that takes many seconds if go test runs with -short.
func SkipIfShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes many seconds; make test runs it")
	}
}

// Fewer returns n, or if go test runs with -short the smaller number of repetitions.
func Fewer(n, short int) int {
	if testing.Short() {
		return short
	}
	return n
}

// SkipUnlessRoot skips a test that only root may run, with what only root may do.
func SkipUnlessRoot(t testing.TB, what string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, NOT PROVEN: only root may " + what)
	}
}

// Nightly reports whether MONITOR_LONG asks for the long variants of the tests, as
// make nightly does.
func Nightly() bool { return os.Getenv("MONITOR_LONG") != "" }

// Scale returns the duration of the long variant of a test in nightly runs, and
// that of the short variant otherwise.
func Scale(short, long time.Duration) time.Duration {
	if Nightly() {
		return long
	}
	return short
}
