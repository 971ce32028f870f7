package clock

import (
	"slices"
	"testing"
	"time"
)

func TestHistogramCountsUpToEachBound(t *testing.T) {
	h := NewHistogram(time.Millisecond, time.Second)
	var buckets []int
	for _, d := range []time.Duration{-time.Hour, 0, time.Millisecond, time.Millisecond + 1, time.Second, time.Minute} {
		buckets = append(buckets, h.Add(d))
	}
	if want := []int{0, 0, 0, 1, 1, 2}; !slices.Equal(buckets, want) {
		t.Errorf("the buckets are %v, want %v", buckets, want)
	}
	before := h.Copy()
	h.Add(0)
	if want := []uint64{3, 2, 1}; !slices.Equal(before.Counts, want) || before.Sum != 2*time.Millisecond+1+time.Second+time.Minute {
		t.Errorf("the copy has %v with the sum %v, want %v", before.Counts, before.Sum, want)
	}
}
