//go:build go1.25

package health

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// newHangingReporter returns a reporter whose broker hangs until free is closed.
func newHangingReporter() (b *fakeBroker, r *Reporter, free chan struct{}) {
	free = make(chan struct{})
	b = newFakeBroker()
	b.before = hang(free)
	return b, newTestReporter(b), free
}

// hang never returns before free is closed, whatever its context says: as the
// stock client does when the registry takes a request and does not answer.
func hang(free <-chan struct{}) func(context.Context, string, proto.Message) error {
	return func(context.Context, string, proto.Message) error {
		<-free
		return nil
	}
}

// Faults: A22.
func TestCollectedStatsAreNeverNil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		r := newTestReporter(b)
		mustStart(t, r)
		r.endpoints.record(endpointKey{healthpb.Endpoint_SERVER, "s", "M.A"}, succeeded, time.Millisecond)
		time.Sleep(25 * time.Second)
		mustClose(t, r)
		stats, _ := of[*healthpb.Stats](b)
		if len(stats) != 3 {
			t.Fatalf("%d stats", len(stats))
		}
		for i, s := range stats {
			if s.Service == nil || s.Cpu == nil || s.Memory == nil || s.Disk == nil || s.Runtime == nil {
				t.Errorf("stats %d have a part that is nil: %v", i, s)
			}
		}
		e := stats[0].Endpoints[0]
		if e.Errors == nil || e.Success == nil || e.Dropped == nil {
			t.Errorf("endpoint has a part that is nil: %v", e)
		}
		if len(stats[1].Endpoints) != 0 {
			t.Errorf("figures of one interval were sent twice: %v", stats[1].Endpoints)
		}
	})
}

// Faults: A22.
func TestUnknownUsageIsZero(t *testing.T) {
	var s healthpb.Stats
	usage{}.since(usage{user: 1, volSwitches: 1 << 31}).fill(&s)
	if s.Cpu.GetUserTime() != 0 || s.Cpu.GetVolCtxSwitch() != 0 || s.Memory == nil || s.Disk == nil {
		t.Errorf("stats of nothing: %v", &s)
	}
}

// Faults: A22.
func TestHangingBrokerBlocksNoRequestAndNoCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r, free := newHangingReporter()
		var runs runCounter
		r.Check("a", "", runs.run)
		mustStart(t, r)
		handler := r.HandlerWrapper()(func(context.Context, handlerRequest, any) error { return nil })
		begin := time.Now()
		for range 3600 {
			time.Sleep(time.Second)
			if err := handler(t.Context(), fakeRequest{}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took != time.Hour {
			t.Errorf("3600 requests took %v longer with a broker that hangs", took-time.Hour)
		}
		if n := runs.Load(); n < 360 {
			t.Errorf("%d runs in an hour, want 360", n)
		}
		if n := len(r.endpoints.collect()); n > 1 {
			t.Errorf("%d endpoints", n)
		}
		before := r.Counters().Published
		close(free)
		synctest.Wait()
		if n := r.Counters().Published - before; n < maxCalls {
			t.Errorf("%d events count as published once the broker was back, want the %d that hung at least", n, maxCalls)
		}
		time.Sleep(30 * time.Second)
		if checks, _ := b.checks("a"); len(checks) == 0 {
			t.Error("nothing was published once the broker was back")
		}
		mustClose(t, r)
	})
}

// Faults: A22.
func TestHangingBrokerCostsFewGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r, free := newHangingReporter()
		for i := range MaxChecks {
			r.Check(fmt.Sprint(i), "", fine)
		}
		mustStart(t, r)
		for range 5 {
			time.Sleep(time.Minute)
			if n := goroutines(); n != 2+maxCalls {
				t.Errorf("%d goroutines, want the scheduler, the dispatcher and %d calls", n, maxCalls)
			}
		}
		r.out.mu.Lock()
		waiting := len(r.out.waiting)
		r.out.mu.Unlock()
		if waiting > DefaultQueueSize {
			t.Errorf("%d events wait, want at most %d", waiting, DefaultQueueSize)
		}
		if c := r.Counters(); c.Unanswered != maxCalls || c.Failed != maxCalls || c.Replaced < 5*200 {
			t.Errorf("counters %+v", c)
		}

		begin := time.Now()
		err := r.Close(context.Background())
		if took := time.Since(begin); took > closeTimeout {
			t.Errorf("Close took %v", took)
		}
		if err == nil || !strings.Contains(err.Error(), "events not published: 202, STOPPED among them: gave up after 2s") ||
			!strings.Contains(err.Error(), "did not answer in time") {
			t.Errorf("Close: %v", err)
		}
		if n := goroutines(); n != 1+maxCalls {
			t.Errorf("%d goroutines are left, want the calls that hang: %d and the one for STOPPED", n, maxCalls)
		}
		close(free)
	})
}

// Faults: A22.
func TestFailingPublisherIsCountedAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		b.before = func(_ context.Context, topic string, _ proto.Message) error {
			if topic == TopicStats {
				panic("boom")
			}
			return errors.New("no servers available")
		}
		var mu sync.Mutex
		told := map[string]int{}
		r := newTestReporter(b, WithErrorFunc(func(err error) {
			mu.Lock()
			defer mu.Unlock()
			told[err.Error()]++
			panic("the callback is no better")
		}))
		r.Check("a", "", fine)
		mustStart(t, r)
		time.Sleep(30 * time.Second)
		if err := r.Close(context.Background()); err == nil || !strings.Contains(err.Error(), "last error") {
			t.Errorf("Close: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, want := range []string{
			`publishing on micro.monitor.status for "go.micro.srv.test-1": no servers available`,
			`publishing on micro.monitor.stats for "go.micro.srv.test-1": the publisher panicked: boom`,
			`check "a": publishing on micro.monitor.healthcheck for "go.micro.srv.test-1": no servers available`,
		} {
			if told[want] == 0 {
				t.Errorf("nobody was told %q, but %v", want, told)
			}
		}
		if c := r.Counters(); c.Published != 0 || c.Failed < 10 || c.Failed > 100 {
			t.Errorf("counters %+v, want 10 to 100 failed ones in 30 s", c)
		}
	})
}

// Faults: A22.
func TestReporterHasNoRaces(t *testing.T) {
	b := newFakeBroker()
	r := newTestReporter(b, WithInterval(time.Second))
	handler := r.HandlerWrapper()(func(context.Context, handlerRequest, any) error { return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	every := func(f func(i int)) {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				f(i)
				runtime.Gosched()
			}
		})
	}
	for range 4 {
		every(func(i int) { _ = handler(ctx, fakeRequest{endpoint: fmt.Sprint("M.", i%700)}, nil) })
	}
	every(func(i int) { r.Check(fmt.Sprint(i%50), "", fine) })
	every(func(i int) { r.Remove(fmt.Sprint(i % 50)) })
	every(func(i int) { _ = r.Trigger(fmt.Sprint(i % 50)) })
	every(func(int) { r.SetInfo("x") })
	every(func(int) { r.endpoints.collect() })
	every(func(int) { _ = r.Counters() })
	_ = r.Start()
	wg.Wait()
	mustClose(t, r)
}
