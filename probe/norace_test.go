//go:build !race

package probe

// raceFactor is 1 where nothing is recorded.
const raceFactor = 1
