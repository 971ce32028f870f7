//go:build race

package monitor

// raceEnabled is true with the race detector, which is limited to 8,128 goroutines.
const raceEnabled = true
