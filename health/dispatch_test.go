//go:build go1.25

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

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

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

// Faults: I9.
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
