//go:build go1.25

package health

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/client"
	merrors "go-micro.dev/v4/errors"
	"go-micro.dev/v4/server"

	healthpb "github.com/microhq/monitor-srv/proto/health"
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
		if got := r.endpoints.collect(); !slices.EqualFunc(got, want, nearEndpoint) {
			t.Errorf("endpoints %v, want %v", got, want)
		}
		if again := r.endpoints.collect(); len(again) != 0 {
			t.Errorf("collected twice: %v", again)
		}
	})
}

// nearEndpoint compares two endpoints. Durations may differ by the width of a
// bucket.
func nearEndpoint(a, b *healthpb.Endpoint) bool {
	return a.GetSide() == b.GetSide() && a.GetService() == b.GetService() && a.GetMethod() == b.GetMethod() &&
		nearMetrics(a.GetSuccess(), b.GetSuccess()) &&
		nearMetrics(a.GetErrors(), b.GetErrors()) &&
		nearMetrics(a.GetDropped(), b.GetDropped())
}

func nearMetrics(a, b *healthpb.Metrics) bool {
	near := func(a, b float64) bool { return math.Abs(a-b) <= 0.033*max(math.Abs(a), math.Abs(b)) }
	return a.GetCount() == b.GetCount() && near(a.GetMean(), b.GetMean()) &&
		near(a.GetStdDev(), b.GetStdDev()) && near(a.GetUpper95(), b.GetUpper95())
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
