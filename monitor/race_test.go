//go:build race

package monitor

// raceEnabled tells that the race detector watches, which allows 8,128
// goroutines.
const raceEnabled = true
