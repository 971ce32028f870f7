//go:build race

package probe

// raceFactor is how much more memory the race detector may take.
const raceFactor = 3
