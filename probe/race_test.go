//go:build race

package probe

// raceFactor is how much more memory a program may take whose memory accesses
// are all recorded.
const raceFactor = 3
