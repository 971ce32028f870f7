//go:build go1.25

package health

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func TestVerdicts(t *testing.T) {
	var typedNil *badError
	for _, test := range []struct {
		name   string
		run    CheckFunc
		status healthpb.HealthCheck_Status
		text   string
	}{
		{"ok", fine, CheckOK, ""},
		{"error", func(context.Context) (map[string]string, error) { return nil, errors.New("no route") }, CheckError, "no route"},
		{"warning", func(context.Context) (map[string]string, error) {
			return nil, Warning(errors.New("disk 91 % full"))
		}, CheckWarning, "disk 91 % full"},
		{"wrapped warning", func(context.Context) (map[string]string, error) {
			return nil, fmt.Errorf("root: %w", Warning(errors.New("full")))
		}, CheckWarning, "root: full"},
		{"warning of nothing", func(context.Context) (map[string]string, error) { return nil, Warning(nil) }, CheckOK, ""},
		{"panic", func(context.Context) (map[string]string, error) { panic("boom") }, CheckError, "check panicked: boom"},
		{"runtime error", func(context.Context) (map[string]string, error) {
			none := make([]string, 0)
			return map[string]string{"a": none[len(none)]}, nil
		}, CheckError, "check panicked: runtime error: index out of range [0] with length 0"},
		{"error that panics", func(context.Context) (map[string]string, error) { return nil, typedNil },
			CheckError, "check panicked: runtime error: invalid memory address or nil pointer dereference"},
		{"goexit", func(context.Context) (map[string]string, error) { runtime.Goexit(); return nil, nil },
			CheckError, "check ended its goroutine without returning"},
		{"bad text", func(context.Context) (map[string]string, error) { return nil, errors.New("a\xffb") }, CheckError, "a\uFFFDb"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFakeBroker()
				r := newTestReporter(b)
				r.Check("a", "", test.run)
				mustStart(t, r)
				time.Sleep(5 * time.Second)
				mustClose(t, r)
				checks, _ := b.checks("a")
				if len(checks) == 0 {
					t.Fatal("no check was published")
				}
				if c := checks[0]; c.GetStatus() != test.status || c.GetError() != test.text {
					t.Errorf("got %v %q, want %v %q", c.GetStatus(), c.GetError(), test.status, test.text)
				}
			})
		})
	}
}

type badError struct{ text string }

func (e *badError) Error() string { return e.text }

// Faults: A22.
func TestHangingCheckFailsAtItsDeadlineAndRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		r := newTestReporter(b)
		var runs, beside atomic.Int32
		free := make(chan struct{})
		r.Check("stuck", "", func(context.Context) (map[string]string, error) {
			runs.Add(1)
			if beside.Add(1) > 1 {
				t.Error("two runs at a time")
			}
			defer beside.Add(-1)
			<-free
			return nil, nil
		})
		r.Check("well", "", fine)
		mustStart(t, r)
		time.Sleep(5*time.Minute + 100*time.Millisecond)
		if n := goroutines(); n != 3 {
			t.Errorf("%d goroutines for a stuck check, want the scheduler, the dispatcher and one", n)
		}
		if runs.Load() != 1 {
			t.Errorf("%d runs, want 1", runs.Load())
		}
		checks, at := b.checks("stuck")
		well, _ := b.checks("well")
		if len(well) < 30 {
			t.Errorf("%d runs of the other check in 5 minutes, want 30", len(well))
		}
		if len(checks) < 30 {
			t.Fatalf("%d events of the stuck check in 5 minutes, want 30: silence would hide it", len(checks))
		}
		if at[0] < 5*time.Second || at[0] > 6*time.Second+50*time.Millisecond {
			t.Errorf("first event at %v, want it 5 s after the first run", at[0])
		}
		if got, want := checks[0].GetError(), "check did not answer within 5s"; got != want || checks[0].GetStatus() != CheckError {
			t.Errorf("first event %v %q, want ERROR %q", checks[0].GetStatus(), got, want)
		}
		if got := checks[len(checks)-1].GetError(); !strings.HasPrefix(got, "check has not answered for 4m5") || !strings.HasSuffix(got, "s and is not started again") {
			t.Errorf("last event %q, want the time since the start", got)
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap > 11*time.Second+50*time.Millisecond {
				t.Errorf("%v between two events", gap)
			}
		}

		close(free)
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		if now, _ := b.checks("stuck"); len(now) != len(checks) {
			t.Errorf("a checkResult that came too late was published: %v", now[len(now)-1])
		}
		time.Sleep(15 * time.Second)
		checks, _ = b.checks("stuck")
		if last := checks[len(checks)-1]; last.GetStatus() != CheckOK || runs.Load() < 2 {
			t.Errorf("once free: %v after %d runs, want OK", last.GetStatus(), runs.Load())
		}
		c := r.Counters()
		if c.Late != 1 || c.Skipped < 28 {
			t.Errorf("counted %d late and %d skipped, want 1 and 29", c.Late, c.Skipped)
		}
		mustClose(t, r)
	})
}

func TestCheckThatObeysItsContextCanSayWhatItWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		r := newTestReporter(b)
		r.Check("a", "", func(ctx context.Context) (map[string]string, error) {
			if deadline, _ := ctx.Deadline(); time.Until(deadline) != 4500*time.Millisecond {
				t.Errorf("the context ends in %v, want a tenth before 5 s", time.Until(deadline))
			}
			<-ctx.Done()
			return nil, fmt.Errorf("dialing the database: %w", ctx.Err())
		})
		mustStart(t, r)
		time.Sleep(6 * time.Second)
		mustClose(t, r)
		checks, _ := b.checks("a")
		if got := checks[0].GetError(); got != "dialing the database: context deadline exceeded" {
			t.Errorf("error %q", got)
		}
		if c := r.Counters(); c.Late != 0 {
			t.Errorf("counted %d late", c.Late)
		}
	})
}

func TestBadChecksAreRefused(t *testing.T) {
	for _, test := range []struct {
		check Check
		want  string
	}{
		{Check{ID: "a"}, `check "a" has no function`},
		{Check{ID: "a\x00", Run: fine}, `has a control character`},
		{Check{ID: strings.Repeat("a", 257), Run: fine}, "has 257 bytes, at most 256 are allowed"},
		{Check{ID: "a", Run: fine, Interval: 999 * time.Millisecond}, `check "a": interval 999ms must be from 1s to 1h0m0s`},
		{Check{ID: "a", Run: fine, Interval: 2 * time.Hour}, `check "a": interval 2h0m0s must be from 1s to 1h0m0s`},
		{Check{ID: "a", Run: fine, Timeout: 11 * time.Second}, `check "a": timeout 11s must be more than 0 and at most the interval, 10s`},
		{Check{ID: "a", Run: fine, Timeout: -1}, "timeout -1ns must be more than 0"},
		{Check{ID: "a", Run: fine, TTL: time.Second}, `check "a": ttl 1s must be from the interval, 10s, to 24h0m0s`},
		{Check{ID: "a", Run: fine, TTL: math.MaxInt64}, "to 24h0m0s"},
	} {
		err := newTestReporter(newFakeBroker()).Add(test.check)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want it to say %q", test.check, err, test.want)
		}
	}
}

func TestPanicOfACheckIsLoggedWithItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := newTestReporter(newFakeBroker(), loggingTo(&log))
		r.Check("a", "", func(context.Context) (map[string]string, error) { panic("boom") })
		mustStart(t, r)
		time.Sleep(2 * time.Second)
		mustClose(t, r)
		if s := log.String(); !strings.Contains(s, "check=a") || !strings.Contains(s, "check_test.go") {
			t.Errorf("log %q, want the check and the place", s)
		}
		if r.Counters().Panics != 1 {
			t.Errorf("counted %d panics, want 1", r.Counters().Panics)
		}
	})
}
