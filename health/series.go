package health

import (
	"math"
	"math/bits"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// Durations are counted in buckets whose width grows with their value: 16 to each
// power of two from 1024 ns to 2^37 ns (137 s), 16 of 64 ns below, one above.
// A quantile is reported as the middle of its bucket, so it is at most 1/32
// (3.2 %) or 32 ns off the sample of that rank, in 1.8 KiB whatever the number of
// samples. The layout is that of HdrHistogram (G. Tene); the bound on the error
// is argued as in DDSketch (Masson, Rim, Lee, VLDB 2019).
const (
	subBits    = 4
	subBuckets = 1 << subBits
	minExp     = 10
	maxExp     = 37
	overflow   = subBuckets * (1 + maxExp - minExp)
	buckets    = overflow + 1
)

func bucketOf(ns uint64) int {
	exp := bits.Len64(ns) - 1
	switch {
	case exp < minExp:
		return int(ns >> (minExp - subBits))
	case exp >= maxExp:
		return overflow
	}
	return subBuckets*(1+exp-minExp) + int(ns>>(exp-subBits))&(subBuckets-1)
}

// middleOf returns the middle of a bucket in nanoseconds.
func middleOf(bucket int) float64 {
	if bucket < subBuckets {
		return (float64(bucket) + 0.5) * (1 << (minExp - subBits))
	}
	exp := minExp + bucket/subBuckets - 1
	return (1 + (float64(bucket%subBuckets)+0.5)/subBuckets) * float64(uint64(1)<<exp)
}

// series summarizes durations in nanoseconds. The zero value is empty.
type series struct {
	count    int64
	mean, m2 float64 // m2 is the sum of squared distances from the mean (Welford)
	min, max float64
	hist     [buckets]uint32
}

func (s *series) add(ns int64) {
	ns = max(ns, 0)
	x := float64(ns)
	if s.count == 0 {
		s.min, s.max = x, x
	}
	s.min, s.max = min(s.min, x), max(s.max, x)
	s.count++
	delta := x - s.mean
	s.mean += delta / float64(s.count)
	s.m2 += delta * (x - s.mean)
	s.hist[bucketOf(uint64(ns))]++
}

// merge adds the durations of other (Chan, Golub, LeVeque 1979).
func (s *series) merge(other *series) {
	if other.count == 0 {
		return
	}
	if s.count == 0 {
		*s = *other
		return
	}
	n, m := float64(s.count), float64(other.count)
	delta := other.mean - s.mean
	s.mean += delta * m / (n + m)
	s.m2 += other.m2 + delta*delta*n*m/(n+m)
	s.min, s.max = min(s.min, other.min), max(s.max, other.max)
	s.count += other.count
	for i, c := range other.hist {
		s.hist[i] += c
	}
}

// quantile returns the sample of rank q*count, as exactly as the buckets allow.
func (s *series) quantile(q float64) float64 {
	rank := int64(math.Ceil(q * float64(s.count)))
	var seen int64
	for i, c := range s.hist {
		if seen += int64(c); seen >= rank && seen > 0 {
			if i == overflow {
				return s.max
			}
			return min(max(middleOf(i), s.min), s.max)
		}
	}
	return 0
}

// metrics returns zeros for an empty series.
func (s *series) metrics() *healthpb.Metrics {
	if s.count == 0 {
		return &healthpb.Metrics{}
	}
	return &healthpb.Metrics{
		Count:   s.count,
		Mean:    s.mean,
		StdDev:  math.Sqrt(max(s.m2, 0) / float64(s.count)),
		Upper95: s.quantile(0.95),
	}
}
