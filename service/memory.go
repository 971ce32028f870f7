package service

import "runtime/debug"

const (
	// usualMemory is enough for what a store of usualEntries holds at most, 256 MiB
	// of texts included, and for 10,000 monitors, with room to collect garbage in.
	usualMemory  = 350 << 20
	usualEntries = 100_000
	// entryMemory is what one more entry takes at most, in bytes without its texts.
	entryMemory = 400
	// gcPercent is how much garbage there may be for 100 bytes in use. Go's default of
	// 100 takes 7 MB more than 64 with 1,000 HTTP monitors, and saves some 4 % of their
	// CPU time.
	gcPercent = 60
)

// LimitMemory makes the garbage collector run somewhat more often than by default, and
// still more when a flood of events doubles the memory of the process. The limit saved
// 250 of 630 MB when measured. GOGC and GOMEMLIMIT take precedence.
func LimitMemory(maxEntries int, getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(maxEntries))
	}
}

// memoryLimit returns the limit in bytes.
func memoryLimit(maxEntries int) int64 {
	return usualMemory + entryMemory*int64(max(0, maxEntries-usualEntries))
}
