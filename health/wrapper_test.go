package health

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"go-micro.dev/v4/client"
	merrors "go-micro.dev/v4/errors"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

type handlerRequest = server.Request

type fakeRequest struct {
	server.Request
	endpoint string
}

func (fakeRequest) Service() string { return "go.micro.srv.test" }
func (r fakeRequest) Endpoint() string {
	if r.endpoint == "" {
		return "Test.Call"
	}
	return r.endpoint
}

type fakeClient struct {
	client.Client
	err error
}

func (c fakeClient) Call(context.Context, client.Request, any, ...client.CallOption) error {
	time.Sleep(3 * time.Millisecond)
	return c.err
}

func TestWrappersKeepSidesAndOutcomesApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestReporter(newFakeBroker())
		handle := func(err error, d time.Duration) {
			h := r.HandlerWrapper()(func(context.Context, server.Request, any) error { time.Sleep(d); return err })
			if got := h(t.Context(), fakeRequest{}, nil); !errors.Is(got, err) {
				t.Errorf("the wrapper answers %v for %v", got, err)
			}
		}
		handle(nil, 10*time.Millisecond)
		handle(nil, 20*time.Millisecond)
		handle(errors.New("bad"), 5*time.Millisecond)
		handle(merrors.NotFound("x", "no"), 5*time.Millisecond)
		handle(merrors.Timeout("x", "slow"), time.Second)
		handle(fmt.Errorf("asking: %w", context.DeadlineExceeded), time.Second)
		func() {
			defer func() { _ = recover() }()
			h := r.HandlerWrapper()(func(context.Context, server.Request, any) error { panic("boom") })
			_ = h(t.Context(), fakeRequest{}, nil)
		}()
		c := r.ClientWrapper()(fakeClient{err: context.Canceled})
		_ = c.Call(t.Context(), fakeClientRequest{}, nil)
		_ = r.ClientWrapper()(fakeClient{}).Call(t.Context(), fakeClientRequest{}, nil)

		ms := float64(time.Millisecond)
		want := []*healthpb.Endpoint{{
			Service: "go.micro.srv.test", Method: "Test.Call", Side: healthpb.Endpoint_SERVER,
			Success: &healthpb.Metrics{Count: 2, Mean: 15 * ms, StdDev: 5 * ms, Upper95: 20 * ms},
			Errors:  &healthpb.Metrics{Count: 3, Mean: 10 * ms / 3, StdDev: math.Sqrt(50) / 3 * ms, Upper95: 5 * ms},
			Dropped: &healthpb.Metrics{Count: 2, Mean: 1000 * ms, Upper95: 1000 * ms},
		}, {
			Service: "go.micro.srv.other", Method: "Other.Call", Side: healthpb.Endpoint_CLIENT,
			Success: &healthpb.Metrics{Count: 1, Mean: 3 * ms, Upper95: 3 * ms},
			Errors:  &healthpb.Metrics{},
			Dropped: &healthpb.Metrics{Count: 1, Mean: 3 * ms, Upper95: 3 * ms},
		}}
		near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 0.033*max(math.Abs(a), math.Abs(b)) })
		if diff := cmp.Diff(want, r.endpoints.collect(), protocmp.Transform(), near); diff != "" {
			t.Errorf("endpoints (-want +got):\n%s", diff)
		}
		if again := r.endpoints.collect(); len(again) != 0 {
			t.Errorf("collected twice: %v", again)
		}
	})
}

type fakeClientRequest struct{ client.Request }

func (fakeClientRequest) Service() string  { return "go.micro.srv.other" }
func (fakeClientRequest) Endpoint() string { return "Other.Call" }

func TestOutcomeOfErrorsThatPanic(t *testing.T) {
	var typedNil *unwrapPanics
	for _, test := range []struct {
		err  error
		want outcome
	}{
		{nil, succeeded},
		{errors.New("x"), failed},
		{typedNil, failed},
		{(*merrors.Error)(nil), failed},
		{merrors.Timeout("a", "b"), dropped},
		{fmt.Errorf("a: %w", merrors.Timeout("a", "b")), dropped},
		{errors.Join(errors.New("x"), context.Canceled), dropped},
	} {
		if got := outcomeOf(test.err); got != test.want {
			t.Errorf("%T: outcome %d, want %d", test.err, got, test.want)
		}
	}
}

type unwrapPanics struct{ inner error }

func (e *unwrapPanics) Error() string { return "x" }
func (e *unwrapPanics) Unwrap() error { return e.inner }

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
	stats := &healthpb.Stats{Service: testIdentity.short(), Endpoints: all}
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

func TestRecordingAllocatesNothing(t *testing.T) {
	r := newTestReporter(newFakeBroker())
	for _, err := range []error{nil, errors.New("bad"), merrors.Timeout("a", "b"), fmt.Errorf("x: %w", context.Canceled)} {
		handler := r.HandlerWrapper()(func(context.Context, server.Request, any) error { return err })
		var req server.Request = fakeRequest{endpoint: "A.B"}
		ctx := t.Context()
		for range 1000 {
			_ = handler(ctx, req, nil)
		}
		if n := testing.AllocsPerRun(1000, func() { _ = handler(ctx, req, nil) }); n != 0 {
			t.Errorf("%v: %g allocations a request, want 0", err, n)
		}
	}
}
