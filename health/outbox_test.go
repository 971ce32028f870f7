package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"google.golang.org/protobuf/proto"
)

func testEvent(topic, id string, r rank) *event {
	return &event{key: eventKey{topic, id}, rank: r, msg: &healthpb.HealthCheck{Id: id}}
}

// drain takes all in the order in which it leaves.
func drain(o *outbox) string {
	var out []string
	for e := o.take(); e != nil; e = o.take() {
		out = append(out, e.key.check)
		o.returned(&call{event: e}, nil)
	}
	return strings.Join(out, " ")
}

func TestNewestWinsPerKeyAndKeepsItsTurn(t *testing.T) {
	var c counters
	o := newOutbox(10, &c)
	o.put(testEvent("t", "a", rankFine))
	o.put(testEvent("t", "b", rankFine))
	newest := testEvent("t", "a", rankFine)
	o.put(newest)
	o.put(testEvent("u", "a", rankFine))
	if first := o.take(); first != newest {
		t.Errorf("took %v, want the newest of a", first)
	}
	if got := drain(o); got != "b a" || c.replaced.Load() != 1 {
		t.Errorf("left %q with %d replaced, want b a and 1", got, c.replaced.Load())
	}
}

func TestWhatMattersLeavesFirstAndStays(t *testing.T) {
	fill := func(o *outbox) {
		o.put(testEvent("t", "stats", rankStats))
		o.put(testEvent("t", "fine1", rankFine))
		o.put(testEvent("t", "bad", rankUrgent))
		o.put(testEvent("t", "fine2", rankFine))
		o.put(testEvent("t", "stopped", rankStopped))
	}
	for limit, want := range map[int]string{
		10: "stopped bad fine1 fine2 stats",
		4:  "stopped bad fine1 fine2",
		3:  "stopped bad fine2",
		2:  "stopped bad",
		1:  "stopped",
	} {
		var c counters
		o := newOutbox(limit, &c)
		fill(o)
		if got := drain(o); got != want || int(c.dropped.Load()) != max(5-limit, 0) {
			t.Errorf("limit %d: left %q with %d dropped, want %q", limit, got, c.dropped.Load(), want)
		}
	}
	o := newOutbox(1, new(counters))
	o.put(testEvent("t", "bad", rankUrgent))
	o.put(testEvent("t", "stats", rankStats))
	if got := drain(o); got != "bad" {
		t.Errorf("left %q, want bad: stats may not push it out", got)
	}
}

func TestFailedEventComesBackUnlessANewerOneCame(t *testing.T) {
	o := newOutbox(10, new(counters))
	old := testEvent("t", "a", rankUrgent)
	o.put(old)
	o.take()
	o.returned(&call{event: old}, errors.New("no"))
	if e := o.take(); e != old || e.tries != 2 {
		t.Fatalf("took %v, want the same again", e)
	}
	newer := testEvent("t", "a", rankUrgent)
	o.put(newer)
	o.returned(&call{event: old}, errors.New("no"))
	if e := o.take(); e != newer {
		t.Errorf("took %v, want the newer one", e)
	}
	if e := o.take(); e != nil {
		t.Errorf("took %v, want nothing", e)
	}
}

func TestCallThatWasLeftAndSucceedsIsNotRepeated(t *testing.T) {
	o := newOutbox(10, new(counters))
	e := testEvent("t", "a", rankUrgent)
	o.put(e)
	c := &call{event: o.take()}
	if !o.leave(c, true) {
		t.Fatal("not left")
	}
	if o.returned(c, nil) {
		t.Error("somebody waited for a call that was left")
	}
	if o.leave(c, true) {
		t.Error("left a call that had returned")
	}
	if again := o.take(); again != nil {
		t.Errorf("took %v, which had arrived", again)
	}
	if n, _ := o.unsent(); n != 0 {
		t.Errorf("%d events are unsent, want none", n)
	}
	o.seal()
	select {
	case <-o.flushed:
	default:
		t.Error("not flushed")
	}
}

func TestEventTheBrokerAlwaysRefusesHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		b.before = func(_ context.Context, _ string, msg proto.Message) error {
			if c, ok := msg.(*healthpb.HealthCheck); ok && c.GetId() == "poison" {
				return errors.New("too large")
			}
			return nil
		}
		r := newTestReporter(b)
		r.Check("poison", "", func(context.Context) (map[string]string, error) { return nil, errors.New("x") })
		r.Check("a", "", fine)
		mustStart(t, r)
		time.Sleep(time.Minute)
		if checks, _ := b.checks("a"); len(checks) < 6 {
			t.Errorf("%d events of the good check in a minute, want 6", len(checks))
		}
		if stats, _ := of[*healthpb.Stats](b); len(stats) < 5 {
			t.Errorf("%d stats in a minute, want 6", len(stats))
		}
		if err := r.Close(context.Background()); err == nil || !strings.Contains(err.Error(), "events not published: 1: gave up after 2s") {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestStoppedThatIsRefusedHoldsUpNothingAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		b.before = func(_ context.Context, _ string, msg proto.Message) error {
			if s, ok := msg.(*healthpb.Status); ok && s.GetStatus() == NodeStopped {
				return errors.New("no")
			}
			return nil
		}
		r := newTestReporter(b)
		mustStart(t, r)
		time.Sleep(time.Second)
		if err := r.Close(context.Background()); err == nil || !strings.Contains(err.Error(), "events not published: 1, STOPPED among them") {
			t.Errorf("Close: %v", err)
		}
		if stats, _ := of[*healthpb.Stats](b); len(stats) != 1 {
			t.Errorf("%d stats, want the last ones", len(stats))
		}
	})
}

func TestEventsLeaveAtMost500ASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		var up atomic.Bool
		b.before = func(context.Context, string, proto.Message) error {
			if !up.Load() {
				return errors.New("away")
			}
			return nil
		}
		r := newTestReporter(b)
		for i := range MaxChecks {
			r.Check(fmt.Sprint(i), "", fine)
		}
		mustStart(t, r)
		time.Sleep(time.Minute)
		up.Store(true)
		time.Sleep(6 * time.Second)
		_, at := of[*healthpb.HealthCheck](b)
		if len(at) < MaxChecks {
			t.Fatalf("%d events after the outage, want %d: each check's newest", len(at), MaxChecks)
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < 2*time.Millisecond {
				t.Fatalf("%v between two events, want at least 2 ms", gap)
			}
		}
		mustClose(t, r)
	})
}

func TestOutageIsLoggedOnceAndItsEndToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		begin := time.Now()
		b.before = func(context.Context, string, proto.Message) error {
			if d := time.Since(begin); d > 30*time.Second && d < 90*time.Second {
				return errors.New("no servers available")
			}
			return nil
		}
		var log strings.Builder
		r := newTestReporter(b, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		mustStart(t, r)
		time.Sleep(3 * time.Minute)
		mustClose(t, r)
		if s := log.String(); strings.Count(s, "\n") != 2 || !strings.Contains(s, "no servers available") || !strings.Contains(s, "works again") {
			t.Errorf("log %q, want one line at the begin and one at the end", s)
		}
	})
}

func TestBrokerThatComesAndGoesFillsNoLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		var n atomic.Int32
		b.before = func(context.Context, string, proto.Message) error {
			if n.Add(1)%2 == 0 {
				return errors.New("no")
			}
			return nil
		}
		var log strings.Builder
		r := newTestReporter(b, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		for i := range 20 {
			r.Check(fmt.Sprint(i), "", fine)
		}
		mustStart(t, r)
		time.Sleep(time.Minute)
		mustClose(t, r)
		if lines := strings.Count(log.String(), "\n"); lines < 1 || lines > 8 {
			t.Errorf("%d lines in a minute, want one in 10 s at most", lines)
		}
	})
}

// flushing is a publisher that sends in the background.
type flushing struct {
	*fakeBroker
	flush func(ctx context.Context) error
}

func (f flushing) Flush(ctx context.Context) error { return f.flush(ctx) }

func TestCloseLetsThePublisherFlush(t *testing.T) {
	for _, test := range []struct {
		name  string
		flush func(ctx context.Context) error
		took  time.Duration
		err   string
	}{
		{"well", func(context.Context) error { return nil }, 0, ""},
		{"slow", func(context.Context) error { time.Sleep(time.Second); return nil }, time.Second, ""},
		{"failing", func(context.Context) error { return errors.New("no") }, 0, "flushing the publisher: no"},
		{"panicking", func(context.Context) error { panic("boom") }, 0, "the publisher panicked: boom"},
		{"hanging", func(context.Context) error { time.Sleep(time.Hour); return nil }, closeTimeout, "gave up after 2s"},
		{"stock client", clientPublisher{}.Flush, linger, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newTestReporter(flushing{newFakeBroker(), test.flush})
				mustStart(t, r)
				time.Sleep(time.Second)
				begin := time.Now()
				err := r.Close(context.Background())
				if took := time.Since(begin); took < test.took || took > test.took+10*time.Millisecond {
					t.Errorf("Close took %v, want %v", took, test.took)
				}
				if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

func TestCloseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		b := newFakeBroker()
		b.before = hang(free)
		r := newTestReporter(b)
		mustStart(t, r)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		begin := time.Now()
		if err := r.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begin); took != 300*time.Millisecond {
			t.Errorf("Close took %v, want 300ms", took)
		}
		close(free)
	})
}

func TestCheckThatDoesNotStopDelaysCloseNoLongerThanItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		var log strings.Builder
		r := newTestReporter(b, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		free := make(chan struct{})
		r.Check("stuck", "", stuckUntil(free))
		mustStart(t, r)
		time.Sleep(2 * time.Second)
		begin := time.Now()
		mustClose(t, r)
		if took := time.Since(begin); took != closeTimeout {
			t.Errorf("Close took %v", took)
		}
		if statuses, at := of[*healthpb.Status](b); len(statuses) != 2 || at[1] > 2*time.Second+10*time.Millisecond {
			t.Errorf("STOPPED left at %v, want it before the wait", at)
		}
		if !strings.Contains(log.String(), "checks=[stuck]") {
			t.Errorf("log %q, want the name of the check", log.String())
		}
		close(free)
		synctest.Wait()
		if checks, _ := b.checks("stuck"); len(checks) != 0 {
			t.Errorf("published after STOPPED: %v", checks)
		}
	})
}
