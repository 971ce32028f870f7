//go:build go1.25

package health

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

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
