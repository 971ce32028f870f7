//go:build go1.25

package health

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func TestChecksRunSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestReporter(newFakeBroker())
		begin := time.Now()
		first, later := make([]int, 10), make([]int, 100)
		at := make(chan time.Duration, 1000)
		for i := range 100 {
			r.Check(fmt.Sprintf("check-%d", i), "", func(context.Context) (map[string]string, error) {
				at <- time.Since(begin)
				return nil, nil
			})
		}
		mustStart(t, r)
		time.Sleep(30*time.Second - time.Millisecond)
		mustClose(t, r)
		close(at)
		for d := range at {
			switch {
			case d < time.Second:
				first[d/(100*time.Millisecond)]++
			case d >= 20*time.Second:
				later[(d-20*time.Second)/(100*time.Millisecond)]++
			}
		}
		for i, n := range first {
			if n > 13 {
				t.Errorf("%d first runs in tenth %d of the first second, want about 10", n, i)
			}
		}
		for i, n := range later {
			if n > 2 {
				t.Errorf("%d runs in tenth of a second %d, want about 1", n, i)
			}
		}
	})
}

func TestRunsOfACheckAreNeitherCloseTogetherNorFarApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestReporter(newFakeBroker())
		for i := range 200 {
			interval := []time.Duration{time.Second, 1700 * time.Millisecond, 10 * time.Second, time.Minute}[i%4]
			last := time.Time{}
			err := r.Add(Check{ID: fmt.Sprint(i), Interval: interval, Run: func(context.Context) (map[string]string, error) {
				gap := time.Since(last)
				if least, most := min(interval/2, time.Second), interval+time.Second; !last.IsZero() && (gap < least || gap > most) {
					t.Errorf("interval %v: %v between two runs, want %v to %v", interval, gap, least, most)
				}
				last = time.Now()
				return nil, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		mustStart(t, r)
		time.Sleep(3 * time.Minute)
		mustClose(t, r)
	})
}

func TestRunThatEndsWithTheReporterOrTheCheckSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		r := newTestReporter(b)
		for i := range MaxChecks {
			r.Check(fmt.Sprint(i), "", func(ctx context.Context) (map[string]string, error) {
				if i == 0 {
					time.Sleep(2 * time.Second)
					return nil, nil
				}
				<-ctx.Done()
				return nil, ctx.Err()
			})
		}
		mustStart(t, r)
		time.Sleep(1500 * time.Millisecond)
		r.Remove("0")
		time.Sleep(2 * time.Second)
		// As Close does, but so that a checkResult has all the time to slip through.
		r.checks.stop()
		r.stopChecks()
		time.Sleep(time.Second)
		mustClose(t, r)
		if checks, _ := of[*healthpb.HealthCheck](b); len(checks) != 0 {
			t.Errorf("%d checks were published, such as %v", len(checks), checks[0])
		}
	})
}

func TestOwnIntervalAndTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		r := newTestReporter(b)
		if err := r.Add(
			Check{ID: "often", Run: fine, Interval: time.Second},
			Check{ID: "rare", Run: fine, Interval: time.Hour},
		); err != nil {
			t.Fatal(err)
		}
		mustStart(t, r)
		time.Sleep(time.Minute)
		mustClose(t, r)
		often, _ := b.checks("often")
		if len(often) < 59 || len(often) > 61 {
			t.Errorf("%d runs in a minute, want 60", len(often))
		}
		rare, at := b.checks("rare")
		if len(rare) != 1 || at[0] > time.Second+10*time.Millisecond {
			t.Fatalf("%d runs at %v, want one within a second", len(rare), at)
		}
		if rare[0].GetInterval() != 3600 || rare[0].GetTtl() != 3*3600 {
			t.Errorf("interval %d and ttl %d, want 3600 and three times that", rare[0].GetInterval(), rare[0].GetTtl())
		}
	})
}

func TestTriggerRunsAtOnceAndKeepsTheRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		r := newTestReporter(b)
		r.Check("a", "", fine)
		if err := r.Trigger("a"); err == nil {
			t.Error("triggered before the start")
		}
		mustStart(t, r)
		time.Sleep(23 * time.Second)
		_, before := b.checks("a")
		if err := r.Trigger("a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		_, after := b.checks("a")
		if len(after) != len(before)+1 || after[len(after)-1]-23*time.Second > 10*time.Millisecond {
			t.Errorf("runs at %v, want one at 23 s", after)
		}
		time.Sleep(30 * time.Second)
		_, at := b.checks("a")
		if rest := at[len(at)-1] - before[len(before)-1]; (rest+5*time.Millisecond)%(10*time.Second) > 10*time.Millisecond {
			t.Errorf("last run %v after one before the trigger, want a multiple of 10 s", rest)
		}
		if err := r.Trigger("b"); err == nil || err.Error() != `triggering check "b": no check "b"` {
			t.Errorf("error %v", err)
		}
		mustClose(t, r)
		if err := r.Trigger("a"); err == nil {
			t.Error("triggered after Close")
		}
	})
}

func TestRemovedCheckIsSilentAndItsStuckRunIsNotDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		r := newTestReporter(b)
		free := make(chan struct{})
		r.Check("a", "", stuckUntil(free))
		mustStart(t, r)
		time.Sleep(20 * time.Second)
		if !r.Remove("a") || r.Remove("a") {
			t.Error("not removed once")
		}
		n := len(b.all())
		if err := r.Add(Check{ID: "a", Run: fine}); err == nil || !strings.Contains(err.Error(), "its last run has not returned") {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Minute)
		close(free)
		synctest.Wait()
		for _, s := range b.all()[n:] {
			if s.topic == TopicHealthCheck {
				t.Errorf("a removed check was published: %v", s.msg)
			}
		}
		if err := r.Add(Check{ID: "a", Run: fine}); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		if checks, _ := b.checks("a"); checks[len(checks)-1].GetStatus() != CheckOK {
			t.Error("the new check does not run")
		}
		mustClose(t, r)
	})
}

func TestEventTheBrokerAlwaysRefusesHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		refuse(b, func(c *healthpb.HealthCheck) bool { return c.GetId() == "poison" })
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
		begin := time.Now()
		b.awayWhile(func() bool { return time.Since(begin) < time.Minute })
		r := newTestReporter(b)
		for i := range MaxChecks {
			r.Check(fmt.Sprint(i), "", fine)
		}
		mustStart(t, r)
		time.Sleep(time.Minute + 6*time.Second)
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
		b.awayWhile(func() bool { d := time.Since(begin); return d > 30*time.Second && d < 90*time.Second })
		var log strings.Builder
		r := newTestReporter(b, loggingTo(&log))
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
		b.before = numbered(func(n int32) error {
			if n%2 == 0 {
				return errors.New("no")
			}
			return nil
		})
		var log strings.Builder
		r := newTestReporter(b, loggingTo(&log))
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
