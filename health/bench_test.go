//go:build go1.25

package health

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go-micro.dev/v4/server"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// BenchmarkHandlerWrapper measures what the wrapper adds to a request. Target:
// under 1000 ns and no allocation.
func BenchmarkHandlerWrapper(b *testing.B) {
	noop := func(context.Context, server.Request, any) error { return nil }
	bad := errors.New("bad")
	fails := func(context.Context, server.Request, any) error { return bad }
	for _, bench := range []struct {
		name      string
		handler   server.HandlerFunc
		endpoints int
	}{
		{"ok", noop, 1},
		{"error", fails, 1},
		{"100-endpoints", noop, 100},
		{"2000-endpoints", noop, 2000},
	} {
		requests := make([]server.Request, bench.endpoints)
		for i := range requests {
			requests[i] = fakeRequest{endpoint: fmt.Sprint("Test.Call", i)}
		}
		wrap := func(b *testing.B) server.HandlerFunc {
			h := newTestReporter(newFakeBroker()).HandlerWrapper()(bench.handler)
			for _, req := range requests {
				_ = h(b.Context(), req, nil)
			}
			return h
		}
		b.Run(bench.name+"/serial", func(b *testing.B) {
			h, ctx := wrap(b), b.Context()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				_ = h(ctx, requests[i%len(requests)], nil)
				i++
			}
		})
		b.Run(bench.name+"/parallel", func(b *testing.B) {
			h, ctx := wrap(b), b.Context()
			b.ReportAllocs()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					_ = h(ctx, requests[i%len(requests)], nil)
				}
			})
		})
	}
}

// BenchmarkHandlerTimed measures the least that a wrapper can do: take the time of
// a request.
func BenchmarkHandlerTimed(b *testing.B) {
	var sum time.Duration
	noop := func(context.Context, server.Request, any) error { return nil }
	wrap := func(next server.HandlerFunc) server.HandlerFunc {
		return func(ctx context.Context, req server.Request, rsp any) error {
			begin := time.Now()
			err := next(ctx, req, rsp)
			sum += time.Since(begin)
			return err
		}
	}
	h, ctx, req := wrap(noop), b.Context(), fakeRequest{endpoint: "Test.Call"}
	b.ReportAllocs()
	for b.Loop() {
		_ = h(ctx, req, nil)
	}
}

// BenchmarkCollect measures one report of the figures of endpoints.
func BenchmarkCollect(b *testing.B) {
	for _, n := range []int{10, MaxEndpoints} {
		b.Run(fmt.Sprint(n, "-endpoints"), func(b *testing.B) {
			table := newEndpointTable()
			b.ReportAllocs()
			for b.Loop() {
				for i := range n {
					table.record(endpointKey{service: "s", method: fmt.Sprint(i)}, succeeded, time.Millisecond)
				}
				if len(table.collect()) == 0 {
					b.Fatal("nothing collected")
				}
			}
		})
	}
}

// BenchmarkStats measures one beat: figures of the process and of 10 endpoints.
func BenchmarkStats(b *testing.B) {
	r := newTestReporter(newFakeBroker())
	r.id = testIdentity
	b.ReportAllocs()
	for b.Loop() {
		for i := range 10 {
			r.endpoints.record(endpointKey{healthpb.Endpoint_SERVER, "s", fmt.Sprint(i)}, succeeded, time.Millisecond)
		}
		r.out.put(r.statsEvent())
	}
}

// BenchmarkCheck measures one run of a check, from its start to the outbox.
func BenchmarkCheck(b *testing.B) {
	r := newTestReporter(newFakeBroker())
	r.id = testIdentity
	c, err := Check{ID: "a", Run: func(context.Context) (map[string]string, error) {
		return map[string]string{"foo": "bar", "label": "cruft", "metric": "1", "msg": "a successful check", "stats": "123.0"}, nil
	}}.withDefaults(DefaultInterval, DefaultTTL)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		done := &run{job: &job{check: c}}
		r.checks.execute(b.Context(), done)
	}
}
