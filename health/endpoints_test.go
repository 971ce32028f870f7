//go:build go1.25

package health

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func TestUpper95IsWithinItsStatedError(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() float64{
		"exponential":  func() float64 { return random.ExpFloat64() * 1e6 },
		"uniform":      func() float64 { return random.Float64() * 1e9 },
		"below 1 us":   func() float64 { return random.Float64() * 1000 },
		"two humps":    func() float64 { return []float64{1e5, 3e7}[random.IntN(2)] * (1 + random.Float64()/10) },
		"log-normal":   func() float64 { return math.Exp(14 + 2*random.NormFloat64()) },
		"all the same": func() float64 { return 123456 },
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{1, 2, 19, 20, 21, 1000, 20000} {
				var s, other series
				samples := make([]float64, n)
				var sum float64
				for i := range samples {
					ns := int64(draw())
					samples[i] = float64(ns)
					sum += samples[i]
					if i%3 == 0 {
						other.add(ns)
					} else {
						s.add(ns)
					}
				}
				s.merge(&other)
				slices.Sort(samples)
				mean := sum / float64(n)
				var m2 float64
				for _, x := range samples {
					m2 += (x - mean) * (x - mean)
				}
				m := s.metrics()
				want := samples[int(math.Ceil(0.95*float64(n)))-1]
				if diff := math.Abs(m.GetUpper95() - want); diff > max(want/32, 32)+1e-6 {
					t.Errorf("n %d: upper95 %g, want %g within 1/32", n, m.GetUpper95(), want)
				}
				if math.Abs(m.GetMean()-mean) > 1e-6*mean {
					t.Errorf("n %d: mean %g, want %g", n, m.GetMean(), mean)
				}
				if dev := math.Sqrt(m2 / float64(n)); math.Abs(m.GetStdDev()-dev) > 1e-6*mean+1e-6*dev {
					t.Errorf("n %d: std_dev %g, want %g", n, m.GetStdDev(), dev)
				}
				if m.GetCount() != int64(n) {
					t.Errorf("n %d: count %d", n, m.GetCount())
				}
			}
		})
	}
}

func TestBucketsAreContiguousAndNarrow(t *testing.T) {
	for exp := range 64 {
		for _, d := range []int64{-1, 0, 1} {
			ns := uint64(int64(uint64(1)<<exp) + d)
			b := bucketOf(ns)
			if b < 0 || b > overflow {
				t.Fatalf("%d ns falls in bucket %d", ns, b)
			}
			if b == overflow {
				if ns < 1<<maxExp {
					t.Errorf("%d ns falls in the last bucket", ns)
				}
				continue
			}
			if off := math.Abs(middleOf(b) - float64(ns)); off > max(float64(ns)/32, 32) {
				t.Errorf("%d ns is %g off the middle of its bucket", ns, off)
			}
		}
	}
	for b := 1; b < overflow; b++ {
		if middleOf(b) <= middleOf(b-1) || bucketOf(uint64(middleOf(b))) != b {
			t.Errorf("bucket %d is not in its place", b)
		}
	}
	var s series
	s.add(math.MaxInt64)
	s.add(-5)
	if m := s.metrics(); m.GetUpper95() != math.MaxInt64 || math.IsNaN(m.GetStdDev()) || math.IsInf(m.GetStdDev(), 0) {
		t.Errorf("extremes give %v", m)
	}
}

func TestEndpointsBeyondTheLimitAreSummedAsOther(t *testing.T) {
	table := newEndpointTable()
	table.record(endpointKey{healthpb.Endpoint_SERVER, "bad\xff", "m"}, succeeded, time.Second)
	table.record(endpointKey{healthpb.Endpoint_SERVER, "s", strings.Repeat("x", 129)}, succeeded, time.Second)
	for i := range 2000 {
		for _, side := range []healthpb.Endpoint_Side{healthpb.Endpoint_SERVER, healthpb.Endpoint_CLIENT} {
			key := endpointKey{side, strings.Repeat("s", 128), fmt.Sprintf("M.%04d%s", i, strings.Repeat("y", 122))}
			table.record(key, succeeded, time.Duration(math.MaxInt64))
			table.record(key, failed, time.Duration(math.MaxInt64))
			table.record(key, dropped, time.Duration(math.MaxInt64))
		}
	}
	all := table.collect()
	if len(all) != MaxEndpoints {
		t.Errorf("%d endpoints, want %d", len(all), MaxEndpoints)
	}
	var count int64
	others := map[healthpb.Endpoint_Side]int64{}
	for _, e := range all {
		count += e.GetSuccess().GetCount()
		if e.GetMethod() == OtherEndpoints {
			others[e.GetSide()] = e.GetSuccess().GetCount()
		}
	}
	if count != 4002 {
		t.Errorf("%d requests in all, want 4002", count)
	}
	if want := int64(2000 - maxNamed/2); others[healthpb.Endpoint_SERVER] != want+2 || others[healthpb.Endpoint_CLIENT] != want {
		t.Errorf("others %v, want %d and two more of bad names", others, want)
	}
	order := func(e *healthpb.Endpoint) string { return fmt.Sprint(int(e.GetSide()), e.GetService(), e.GetMethod()) }
	if !slices.IsSortedFunc(all, func(a, b *healthpb.Endpoint) int { return strings.Compare(order(a), order(b)) }) {
		t.Error("endpoints are in no order")
	}
	stats := &healthpb.Stats{Service: testIdentity.service(), Endpoints: all}
	if size := proto.Size(stats); size > MaxEventSize {
		t.Errorf("the largest stats have %d bytes, want at most %d", size, MaxEventSize)
	}
}

func TestNoRequestIsLostWhileFiguresAreCollected(t *testing.T) {
	table := newEndpointTable()
	const workers, each = 8, 20000
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				table.record(endpointKey{service: "s", method: fmt.Sprint("m", (i+w)%3)}, outcome(i%int(outcomes)), time.Duration(i))
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	var got int64
	collect := func() {
		for _, e := range table.collect() {
			got += e.GetSuccess().GetCount() + e.GetErrors().GetCount() + e.GetDropped().GetCount()
		}
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		collect()
	}
	if got != workers*each {
		t.Errorf("%d requests were collected, want %d", got, workers*each)
	}
}
