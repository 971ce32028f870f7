//go:build go1.25

package health

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func TestStoppedThatIsRefusedHoldsUpNothingAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		refuse(b, func(s *healthpb.Status) bool { return s.GetStatus() == NodeStopped })
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
		{"stock client", clientPublisher{}.Flush, flushDelay, ""},
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
		_, r, free := newHangingReporter()
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
		r := newTestReporter(b, loggingTo(&log))
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

// Faults: A22.
func TestStoppedIsPublishedAtExit(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func() func(context.Context, string, proto.Message) error
	}{
		{"slow broker", func() func(context.Context, string, proto.Message) error {
			return func(context.Context, string, proto.Message) error { time.Sleep(time.Second); return nil }
		}},
		{"broker that fails now and then", func() func(context.Context, string, proto.Message) error {
			return numbered(func(n int32) error {
				if n%3 != 0 {
					return errors.New("not now")
				}
				return nil
			})
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
			return numbered(func(n int32) error {
				if n <= maxCalls {
					time.Sleep(time.Hour)
				}
				return nil
			})
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

// Faults: A22.
func TestStoppedDoesNotWaitBehindACallThatHangs(t *testing.T) {
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

// Faults: A22.
func TestStoppedAndErrorsLeaveBeforeStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r, free := newHangingReporter()
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
