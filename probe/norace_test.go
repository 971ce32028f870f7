//go:build !race

package probe

// raceFactor is 1 without the race detector.
const raceFactor = 1
