package service

import "runtime/debug"

const (
	// usualMemory is enough for what a store of usualEntries holds at most, 256 MiB
	// of texts included, and for 10,000 monitors, with room to collect garbage in.
	usualMemory  = 350 << 20
	usualEntries = 100_000
	// entryMemory is what one more entry takes at most, in bytes without its texts.
	entryMemory = 400
)

// LimitMemory makes the garbage collector run more often when a flood of events
// doubles the memory of the process. It saved 250 of 630 MB when measured, and changes
// nothing below the limit. GOMEMLIMIT takes precedence.
func LimitMemory(maxEntries int, getenv func(string) string) {
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(maxEntries))
	}
}

// memoryLimit returns the limit in bytes.
func memoryLimit(maxEntries int) int64 {
	return usualMemory + entryMemory*int64(max(0, maxEntries-usualEntries))
}
