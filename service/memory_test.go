package service

import (
	"runtime/debug"
	"testing"
)

// Faults: I4.
func TestMemoryIsLimitedByDefault(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for _, c := range []struct {
		variable   string
		maxEntries int
		want       int64
	}{
		{"", 100_000, 350 << 20},
		{"", 100, 350 << 20},
		{"", 1_000_000, 350<<20 + 360_000_000},
		{"off", 100_000, before},
		{"1GiB", 100_000, before}, // the runtime has read it
	} {
		debug.SetMemoryLimit(before)
		LimitMemory(c.maxEntries, func(string) string { return c.variable })
		if got := debug.SetMemoryLimit(-1); got != c.want {
			t.Errorf("GOMEMLIMIT=%q and %d entries: limit %d, want %d", c.variable, c.maxEntries, got, c.want)
		}
	}
}
