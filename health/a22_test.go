package health

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"google.golang.org/protobuf/proto"
)

// hang never returns before free is closed, whatever its context says: as the
// stock client does when the registry takes a request and does not answer.
func hang(free <-chan struct{}) func(context.Context, string, proto.Message) error {
	return func(context.Context, string, proto.Message) error {
		<-free
		return nil
	}
}

func TestA22StatsAreNeverNil(t *testing.T) {
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

func TestA22UsageThatIsUnknownIsZero(t *testing.T) {
	var s healthpb.Stats
	usage{}.since(usage{user: 1, volSwitches: 1 << 31}).fill(&s)
	if s.Cpu.GetUserTime() != 0 || s.Cpu.GetVolCtxSwitch() != 0 || s.Memory == nil || s.Disk == nil {
		t.Errorf("stats of nothing: %v", &s)
	}
}

func TestA22HangingBrokerStopsNoRequestAndNoCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		b := newFakeBroker()
		b.before = hang(free)
		r := newTestReporter(b)
		var runs atomic.Int32
		r.Check("a", "", func(context.Context) (map[string]string, error) {
			runs.Add(1)
			return nil, nil
		})
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

func TestA22HangingBrokerCostsABoundedNumberOfGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		b := newFakeBroker()
		b.before = hang(free)
		r := newTestReporter(b)
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

func TestA22StoppedIsNotLostAtExit(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func() func(context.Context, string, proto.Message) error
	}{
		{"slow broker", func() func(context.Context, string, proto.Message) error {
			return func(context.Context, string, proto.Message) error { time.Sleep(time.Second); return nil }
		}},
		{"broker that fails now and then", func() func(context.Context, string, proto.Message) error {
			var n atomic.Int32
			return func(context.Context, string, proto.Message) error {
				if n.Add(1)%3 != 0 {
					return errors.New("not now")
				}
				return nil
			}
		}},
		{"broker that hung in the last call", func() func(context.Context, string, proto.Message) error {
			return func(ctx context.Context, _ string, msg proto.Message) error {
				if s, ok := msg.(*healthpb.Status); ok && s.GetStatus() == NodeRunning {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			}
		}},
		{"broker that never answered four calls", func() func(context.Context, string, proto.Message) error {
			var n atomic.Int32
			return func(context.Context, string, proto.Message) error {
				if n.Add(1) <= maxCalls {
					time.Sleep(time.Hour)
				}
				return nil
			}
		}},
		{"broker that was away until now", func() func(context.Context, string, proto.Message) error {
			begin := time.Now()
			return func(context.Context, string, proto.Message) error {
				if time.Since(begin) < 31*time.Second {
					return errors.New("connection refused")
				}
				return nil
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFakeBroker()
				b.before = test.before()
				r := newTestReporter(b)
				r.Check("a", "", func(context.Context) (map[string]string, error) { return nil, errors.New("bad") })
				mustStart(t, r)
				time.Sleep(30*time.Second + 500*time.Millisecond)
				begin := time.Now()
				_ = r.Close(context.Background())
				if took := time.Since(begin); took > closeTimeout {
					t.Errorf("Close took %v", took)
				}
				synctest.Wait()
				words := b.statuses()
				if len(words) == 0 || words[len(words)-1] != "STOPPED" {
					t.Errorf("statuses %v, want STOPPED at last", words)
				}
				time.Sleep(2 * time.Hour) // for the calls that were left
			})
		})
	}
}

func TestA22StoppedDoesNotWaitBehindACallThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		b.before = func(_ context.Context, _ string, msg proto.Message) error {
			if s, ok := msg.(*healthpb.Status); ok && s.GetStatus() == NodeRunning {
				time.Sleep(time.Hour)
			}
			return nil
		}
		r := newTestReporter(b, WithPublishTimeout(time.Minute))
		mustStart(t, r)
		time.Sleep(11 * time.Second)
		begin := time.Now()
		mustClose(t, r)
		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Errorf("Close took %v behind a call that hangs", took)
		}
		if words := strings.Join(b.statuses(), " "); words != "STARTED STOPPED" {
			t.Errorf("statuses %s, want STARTED STOPPED", words)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestA22StoppedAndErrorsLeaveBeforeStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		b := newFakeBroker()
		b.before = hang(free)
		r := newTestReporter(b)
		r.Check("fine", "", fine)
		r.Check("bad", "", func(context.Context) (map[string]string, error) { return nil, errors.New("bad") })
		mustStart(t, r)
		time.Sleep(2 * time.Minute) // All places are taken, and one of each kind waits.
		done := make(chan error)
		go func() { done <- r.Close(context.Background()) }()
		synctest.Wait()
		close(free)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		// What hung returns in any order; then come those that waited.
		var order []string
		for _, s := range b.all() {
			switch m := s.msg.(type) {
			case *healthpb.Status:
				order = append(order, m.GetStatus().String())
			case *healthpb.HealthCheck:
				order = append(order, m.GetId())
			case *healthpb.Stats:
				order = append(order, "stats")
			}
		}
		order = order[len(order)-4:]
		if got := strings.Join(order[1:], " "); got != "bad fine stats" {
			t.Errorf("left at last: %v, want bad, fine and stats in this order", order)
		}
	})
}

func TestA22PublisherThatPanicsOrFailsIsCountedAndTold(t *testing.T) {
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

func TestA22NothingRacesWithNothing(t *testing.T) {
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
