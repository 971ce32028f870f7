package clock

import (
	"slices"
	"time"
)

// Histogram counts durations. It is not safe for concurrent use.
type Histogram struct {
	// Bounds are the upper bounds of the buckets, ascending and inclusive. They do not
	// change.
	Bounds []time.Duration
	// Counts has one number for each bucket, and one for what is above the last bound.
	Counts []uint64
	// Sum is that of all durations.
	Sum time.Duration
}

// NewHistogram returns a Histogram with these bounds.
func NewHistogram(bounds ...time.Duration) Histogram {
	return Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
}

// Add counts a duration and returns its bucket. One below zero counts as zero.
func (h *Histogram) Add(d time.Duration) (bucket int) {
	d = max(d, 0)
	bucket, _ = slices.BinarySearch(h.Bounds, d)
	h.Counts[bucket]++
	h.Sum += d
	return bucket
}

// Copy returns a copy that Add does not change.
func (h *Histogram) Copy() Histogram {
	c := *h
	c.Counts = slices.Clone(h.Counts)
	return c
}
