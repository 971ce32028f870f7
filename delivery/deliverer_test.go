package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// checkBackoff checks that waits double from 1 s to 5 min with some jitter.
func checkBackoff(t *testing.T, calls []call) {
	t.Helper()
	want := time.Second
	for i := 1; i < len(calls); i++ {
		wait := calls[i].at - calls[i-1].at
		if low := min(want, 4*time.Minute); wait < low || wait > min(5*time.Minute, low*5/4) {
			t.Errorf("waited %v before attempt %d, want %v to a quarter more", wait, i+1, low)
		}
		want = min(2*want, time.Hour)
	}
}

// checkRetried checks that the failure 1 was delivered at last, and that the waits doubled. It
// returns the attempts.
func checkRetried(t *testing.T, f *fake) []call {
	t.Helper()
	delivered, calls := f.taken()
	if formatAll(delivered) != "fail:1" {
		t.Errorf("delivered %q, want the failure", formatAll(delivered))
	}
	checkBackoff(t, calls)
	return calls
}

// groupedOutage enqueues a failure for a receiver that groups and fails, and during
// the outage its recovery and another failure. It returns the attempts.
func groupedOutage(t *testing.T, do func(context.Context, int, []action.Notification) error) []call {
	t.Helper()
	f, r := receiving(t, true, do)
	r.Enqueue(fail("m", "1"))
	time.Sleep(10 * time.Minute)
	r.Enqueue(recovery("m", "1"))
	r.Enqueue(fail("n", "2"))
	time.Sleep(time.Hour)
	if s := r.Status(); s.Delivered != 3 {
		t.Errorf("got %+v, want 3 delivered", s)
	}
	_, calls := f.taken()
	return calls
}

func checkSpacing(t *testing.T, at []time.Duration, least time.Duration) {
	t.Helper()
	for i := 1; i < len(at); i++ {
		if at[i]-at[i-1] < least {
			t.Errorf("messages at %v and %v, want %v between", at[i-1], at[i], least)
		}
	}
}

// Faults: G8.
func TestEnqueueNeverWaitsAndAttemptsBeginAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := receiving(t, false, slowly(time.Minute))
		enqueueFailures(r, 30, 0)
		if since := time.Since(f.begin); since != 0 {
			t.Errorf("enqueueing took %v", since)
		}
		synctest.Wait()
		f.mu.Lock()
		if f.active != 10 {
			t.Errorf("%d attempts at once, want 10", f.active)
		}
		f.mu.Unlock()
		time.Sleep(3*time.Minute + time.Second)
		if got, want := f.starts(), []time.Duration{0, time.Minute, 2 * time.Minute}; len(got) != 30 || got[9] != want[0] || got[19] != want[1] || got[29] != want[2] {
			t.Errorf("attempts began at %v", got)
		}
		if f.most != 10 {
			t.Errorf("%d attempts at a time, want at most 10", f.most)
		}
	})
}

// Faults: G9.
func TestFailedAttemptsAreRetriedUntilDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(false, failUntil(time.Hour))
		var log strings.Builder
		d, _ := deliver(t, Options{Log: testkit.InfoTo(&log)})
		r := d.Add("r", f)
		r.Enqueue(fail("m", "1"))
		time.Sleep(2 * time.Hour)
		delivered, calls := f.taken()
		if formatAll(delivered) != "fail:1" {
			t.Errorf("delivered %q, want the failure once", formatAll(delivered))
		}
		checkBackoff(t, calls)
		s := r.Status()
		if s.Delivered != 1 || s.Failures != 0 || s.Retried != uint64(len(calls)-1) || s.LastError != "down" || s.Pending != 0 || s.Attempts != uint64(len(calls)) {
			t.Errorf("got %+v", s)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "error=down") {
			t.Errorf("want the first error and the end of the series in the log, got\n%s", &log)
		}
	})
}

// Faults: G9.
func TestAttemptsOfOneOutageCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := receiving(t, false, failUntil(90*time.Second))
		enqueueFailures(r, 100, 0)
		time.Sleep(3 * time.Minute)
		delivered, calls := f.taken()
		if len(delivered) != 100 {
			t.Errorf("delivered %d, want 100", len(delivered))
		}
		if n := len(calls) - len(delivered); n > 10+7 {
			t.Errorf("%d attempts failed in 90 s, want the first 10 and then one at a time", n)
		}
	})
}

// Faults: T45.
func TestRetryAfterIsObeyed(t *testing.T) {
	for _, c := range []struct{ after, low, high time.Duration }{
		{10 * time.Minute, 10 * time.Minute, 10 * time.Minute},
		{48 * time.Hour, time.Hour, time.Hour},
		{time.Millisecond, time.Second, 1250 * time.Millisecond},
		{-time.Hour, time.Second, 1250 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(false, func(_ context.Context, n int, _ []action.Notification) error {
				if n == 1 {
					return fmt.Errorf("answered: %w", &action.RetryAfter{After: c.after, Err: errors.New("too many")})
				}
				return nil
			})
			d, _ := deliver(t, Options{})
			d.Add("r", f).Enqueue(fail("m", "1"))
			time.Sleep(2 * time.Hour)
			if at := f.starts(); len(at) != 2 || at[1] < c.low || at[1] > c.high {
				t.Errorf("Retry-After %v: attempts at %v, want the second after %v to %v", c.after, at, c.low, c.high)
			}
		})
	}
}

// Faults: T43.
func TestPermanentErrorsAreNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(false, func(_ context.Context, _ int, ns []action.Notification) error {
			if ns[0].Incident == "1" {
				return fmt.Errorf("mail: %w", &action.Permanent{Err: errors.New("550 no such user")})
			}
			return nil
		})
		d, _ := deliver(t, Options{})
		r := d.Add("r", f)
		r.Enqueue(fail("m", "1"))
		time.Sleep(time.Hour)
		r.Enqueue(recovery("m", "1")) // its failure was refused
		r.Enqueue(fail("m", "2"))
		time.Sleep(time.Hour)
		delivered, calls := f.taken()
		if formatAll(delivered) != "fail:2" || len(calls) != 2 {
			t.Errorf("delivered %q in %d attempts, want only the second failure in 2", formatAll(delivered), len(calls))
		}
		if s := r.Status(); s.Refused != 1 || s.Suppressed != 1 || s.Delivered != 1 || s.LastError != "mail: 550 no such user" {
			t.Errorf("got %+v", s)
		}
	})
}

// Faults: I9.
func TestRefusalsDoNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		f := newFake(false, func(context.Context, int, []action.Notification) error {
			return &action.Permanent{Err: errors.New("404")}
		})
		d, _ := deliver(t, Options{Log: testkit.LogTo(&log)})
		r := d.Add("r", f)
		for i := range 2000 {
			r.Enqueue(fail(fmt.Sprint("m", i), "1"))
			time.Sleep(30 * time.Millisecond)
		}
		if s := r.Status(); s.Refused != 2000 {
			t.Errorf("got %+v", s)
		}
		if n := strings.Count(log.String(), "\n"); n < 1 || n > 7 {
			t.Errorf("%d lines in a minute, want one each 10 s", n)
		}
	})
}

// Faults: T45.
func TestNewestStateOfAMonitorWins(t *testing.T) {
	t.Run("one by one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, r := receiving(t, false, failUntil(20*time.Minute))
			r.Enqueue(fail("m", "1"))
			time.Sleep(10 * time.Minute)
			r.Enqueue(action.Notification{Monitor: "m", Event: action.Repeat, Incident: "1"})
			r.Enqueue(recovery("m", "1"))
			time.Sleep(time.Hour)
			if delivered, _ := f.taken(); formatAll(delivered) != "fail:1 recover:1" {
				t.Errorf("delivered %q, want failure, then recovery", formatAll(delivered))
			}
		})
	})
	t.Run("grouped, unreachable", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			calls := groupedOutage(t, unreachableUntil(20*time.Minute))
			if last := calls[len(calls)-1]; last.err != nil || formatAll(last.notifications) != "fail:1 recover:1 fail:2" {
				t.Errorf("delivered %q last, want one message with all", formatAll(last.notifications))
			}
		})
	})
	t.Run("grouped, may have been delivered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			calls := groupedOutage(t, failUntil(20*time.Minute))
			for _, c := range calls[:len(calls)-1] {
				if formatAll(c.notifications) != "fail:1" {
					t.Errorf("a retry sends %q, want it unchanged", formatAll(c.notifications))
				}
			}
			if last := calls[len(calls)-1]; last.err != nil || formatAll(last.notifications) != "fail:2 recover:1" {
				t.Errorf("delivered %q last, want the rest", formatAll(last.notifications))
			}
		})
	})
	t.Run("recovery while the failure is delivered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, r := receiving(t, false, slowly(25*time.Second))
			r.Enqueue(fail("m", "1"))
			time.Sleep(time.Second)
			r.Enqueue(recovery("m", "1"))
			time.Sleep(time.Minute)
			if delivered, _ := f.taken(); formatAll(delivered) != "fail:1 recover:1" || f.most != 1 {
				t.Errorf("delivered %q, %d at a time, want failure, then recovery", formatAll(delivered), f.most)
			}
		})
	})
}

func TestRecoveryFollowsAReminderThatWasDeliveredFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := receiving(t, false, nil)
		r.Enqueue(action.Notification{Monitor: "m", Event: action.Repeat, Incident: "1"})
		time.Sleep(time.Minute)
		r.Enqueue(recovery("m", "1"))
		time.Sleep(time.Minute)
		if delivered, _ := f.taken(); formatAll(delivered) != "repeat:1 recover:1" {
			t.Errorf("delivered %q", formatAll(delivered))
		}
	})
}

// Faults: G7.
func TestInitNotificationIsBestEffort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := receiving(t, false, failUntil(time.Minute))
		r.Enqueue(action.Notification{Monitor: "waits", Event: action.Init})
		r.Enqueue(action.Notification{Monitor: "fails", Event: action.Init})
		time.Sleep(10 * time.Second)
		r.Enqueue(fail("fails", "1"))
		time.Sleep(10 * time.Minute)
		delivered, _ := f.taken()
		var of = map[string][]action.Notification{}
		for _, n := range delivered {
			of[n.Monitor] = append(of[n.Monitor], n)
		}
		if formatAll(of["waits"]) != "init:" || formatAll(of["fails"]) != "fail:1" {
			t.Errorf("delivered %q and %q, want the Init that nothing superseded, and the failure", formatAll(of["waits"]), formatAll(of["fails"]))
		}
	})
}

// Faults: T47.
func TestManyFailuresInOneSecondAreGrouped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := receiving(t, true, slowly(200*time.Millisecond))
		enqueueFailures(r, 2000, 500*time.Microsecond)
		time.Sleep(time.Minute)
		delivered, _ := f.taken()
		if len(delivered) != 2000 {
			t.Errorf("delivered %d, want 2000", len(delivered))
		}
		checkSpacing(t, f.starts(), 10*time.Second)
		if at := f.starts(); len(at) != 2 || at[0] > 50*time.Millisecond {
			t.Errorf("messages at %v, want one at once and one with the rest", at)
		}
		if f.most != 1 {
			t.Errorf("%d messages at a time, want 1", f.most)
		}
		if s := r.Status(); s.Dropped != 0 || s.Delivered != 2000 {
			t.Errorf("got %+v", s)
		}
	})
}

// Faults: T47.
func TestUngroupedReceiverIsNotifiedOfEachFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := receiving(t, false, slowly(100*time.Millisecond))
		enqueueFailures(r, 2000, 0)
		time.Sleep(time.Minute)
		delivered, _ := f.taken()
		if len(delivered) != 2000 || f.most != 10 {
			t.Errorf("delivered %d, %d at a time, want 2000, 10", len(delivered), f.most)
		}
	})
}

// Faults: T47.
func TestQuietReceiverIsNotifiedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := receiving(t, true, nil)
		for i, wait := range []time.Duration{0, 15 * time.Second, 3 * time.Second, time.Hour} {
			time.Sleep(wait)
			r.Enqueue(fail(fmt.Sprint("m", i), fmt.Sprint(i)))
		}
		time.Sleep(time.Minute)
		want := []time.Duration{0, 15 * time.Second, 25 * time.Second, time.Hour + 18*time.Second}
		if diff := cmp.Diff(want, f.starts()); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
	})
}

// Faults: T45.
func TestSlowReceiverIsCutOffAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(false, func(ctx context.Context, n int, _ []action.Notification) error {
			if n > 3 {
				return nil
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})
		d, _ := deliver(t, Options{})
		r := d.Add("tarpit", f)
		r.Enqueue(fail("m", "1"))
		time.Sleep(31 * time.Second)
		if s := r.Status(); s.LastError != "no answer within 30s" || s.Failures != 1 || s.Next.IsZero() {
			t.Errorf("got %+v", s)
		}
		time.Sleep(time.Hour)
		if delivered, _ := f.taken(); formatAll(delivered) != "fail:1" {
			t.Errorf("delivered %q", formatAll(delivered))
		}
		f.deadline = 5 * time.Minute
		f.started = 0
		r.Enqueue(fail("n", "2"))
		time.Sleep(4 * time.Minute)
		if s := r.Status(); s.InFlight != 1 {
			t.Errorf("got %+v, want the attempt under way for its own deadline", s)
		}
	})
}

// Faults: T45.
func TestNotificationsExpireAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := receiving(t, false, failUntil(30*time.Hour))
		r.Enqueue(fail("m", "1"))
		time.Sleep(12 * time.Hour)
		r.Enqueue(fail("n", "2"))
		time.Sleep(24 * time.Hour)
		r.Enqueue(recovery("m", "1"))
		time.Sleep(time.Hour)
		if delivered, _ := f.taken(); formatAll(delivered) != "fail:2" {
			t.Errorf("delivered %q, want only what was younger than a day", formatAll(delivered))
		}
		if s := r.Status(); s.Expired != 1 || s.Suppressed != 1 || s.Pending != 0 {
			t.Errorf("got %+v", s)
		}
	})
}

// Faults: G10, I1.
func TestPanicOfAnActionFailsTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(false, func(_ context.Context, n int, ns []action.Notification) error {
			switch n {
			case 1:
				panic("canary of a secret")
			case 2:
				_ = ns[5]
			}
			return nil
		})
		var log strings.Builder
		d, _ := deliver(t, Options{Log: testkit.InfoTo(&log)})
		r := d.Add("r", f)
		r.Enqueue(fail("m", "1"))
		time.Sleep(1500 * time.Millisecond)
		if s := r.Status(); !strings.Contains(s.LastError, "index out of range") {
			t.Errorf("got %+v", s)
		}
		time.Sleep(time.Minute)
		if s := r.Status(); s.Delivered != 1 || s.Retried != 2 {
			t.Errorf("got %+v", s)
		}
		if strings.Contains(log.String(), "canary") || !strings.Contains(log.String(), "deliverer_test.go") {
			t.Errorf("want the stack and not the text of the panic in the log, got\n%s", &log)
		}
	})
}

// Faults: G36.
func TestRecoveryIsSentExactlyOncePerIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := receiving(t, false, nil)
		for i := range 5 {
			id := fmt.Sprint(i)
			r.Enqueue(fail("m", id))
			r.Enqueue(action.Notification{Monitor: "m", Event: action.Init}) // the monitor is started again
			r.Enqueue(fail("m", id))
			r.Enqueue(recovery("m", id))
			r.Enqueue(recovery("m", id))
			time.Sleep(time.Second)
		}
		delivered, _ := f.taken()
		delivered = slices.DeleteFunc(delivered, func(n action.Notification) bool { return n.Event == action.Init })
		if got, want := formatAll(delivered), "fail:0 recover:0 fail:1 recover:1 fail:2 recover:2 fail:3 recover:3 fail:4 recover:4"; got != want {
			t.Errorf("delivered %q, want %q", got, want)
		}
	})
}

// Faults: G14.
func TestStopOfTheDelivererIsQuickAndLosesNothing(t *testing.T) {
	hang := func(ctx context.Context, _ int, _ []action.Notification) error { <-ctx.Done(); return ctx.Err() }
	for name, c := range map[string]struct {
		group bool
		do    func(context.Context, int, []action.Notification) error
		took  time.Duration
		left  int
	}{
		"healthy":            {false, nil, 0, 0},
		"healthy, grouping":  {true, nil, 0, 0},
		"slow":               {false, slowly(time.Second), 3 * time.Second, 0},
		"down":               {false, failUntil(time.Hour), 0, 21},
		"down, grouping":     {true, failUntil(time.Hour), 0, 21},
		"hanging":            {false, hang, 7 * time.Second, 21},
		"hanging, grouping":  {true, hang, 7 * time.Second, 21},
		"deaf to its cancel": {false, slowly(time.Minute), 9 * time.Second, 21},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(c.group, c.do)
				d, stop := deliver(t, Options{})
				r := d.Add("r", f)
				r.Enqueue(fail("first", "1"))
				time.Sleep(time.Millisecond)
				enqueueFailures(r, 20, 0)
				took, err := stop()
				if took > c.took {
					t.Errorf("stopping took %v, want at most %v", took, c.took)
				}
				if deaf := name == "deaf to its cancel"; (err != nil) != deaf {
					t.Errorf("got error %v", err)
				}
				left := 0
				for _, b := range d.Pending() {
					left += len(b.Notifications)
				}
				delivered, _ := f.taken()
				if left != c.left || left+len(delivered) != 21 {
					t.Errorf("%d left and %d delivered, want %d left", left, len(delivered), c.left)
				}
				r.Enqueue(fail("late", "1"))
				if n := len(d.Pending()[0].Notifications); n != left+1 {
					t.Errorf("%d left after a late one, want %d", n, left+1)
				}
				time.Sleep(time.Hour)
			})
		})
	}
}

func TestPendingIsRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(false, func(_ context.Context, _ int, ns []action.Notification) error {
			if ns[0].Monitor == "delivered" {
				return nil
			}
			return errors.New("down")
		})
		d, stop := deliver(t, Options{})
		r := d.Add("r", f)
		d.Add("idle", newFake(false, nil))
		r.Enqueue(fail("delivered", "1"))
		time.Sleep(time.Second)
		r.Enqueue(fail("pending", "2"))
		time.Sleep(time.Minute)
		r.Enqueue(recovery("pending", "2"))
		if _, err := stop(); err != nil {
			t.Fatal(err)
		}
		saved := encodePending(d)

		time.Sleep(time.Hour)
		pending := decodePending(t, saved)
		g := newFake(false, nil)
		d = NewDeliverer(Options{})
		d.Restore(pending)
		r = d.Add("r", g)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = d.Run(ctx) }()
		r.Enqueue(recovery("delivered", "1"))
		r.Enqueue(recovery("unknown", "3"))
		time.Sleep(time.Minute)
		delivered, _ := g.taken()
		slices.SortStableFunc(delivered, func(a, b action.Notification) int { return strings.Compare(a.Monitor, b.Monitor) })
		if got := formatAll(delivered); got != "recover:1 fail:2 recover:2" {
			t.Errorf("delivered %q, want the pending ones and the recovery of the delivered failure", got)
		}
		if len(d.Pending()) != 0 {
			t.Errorf("%v is still pending", d.Pending())
		}
		cancel()
		synctest.Wait()
	})
}

func TestReceiverKeepsItsQueueWhenItsActionChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := deliver(t, Options{})
		r := d.Add("r", newFake(false, failUntil(24*time.Hour)))
		r.Enqueue(fail("m", "1"))
		time.Sleep(30 * time.Minute)
		g := newFake(false, nil)
		if d.Add("r", g) != r {
			t.Error("the receiver is another one")
		}
		time.Sleep(time.Second)
		if delivered, _ := g.taken(); formatAll(delivered) != "fail:1" {
			t.Errorf("delivered %q at once, want the failure", formatAll(delivered))
		}
		if undelivered := d.Remove("r"); len(undelivered) != 0 || len(d.Status()) != 0 {
			t.Errorf("left: %v, %v", undelivered, d.Status())
		}
		if d.Remove("r") != nil {
			t.Error("removed twice")
		}
	})
}

func TestReceiversDoNotDisturbEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := deliver(t, Options{})
		slow := d.Add("a slow one", newFake(true, func(ctx context.Context, _ int, _ []action.Notification) error { <-ctx.Done(); return ctx.Err() }))
		f := newFake(false, nil)
		quick := d.Add("quick", f)
		for i := range 5 {
			slow.Enqueue(fail("m", fmt.Sprint(i)))
			quick.Enqueue(fail("m", fmt.Sprint(i)))
			time.Sleep(time.Second)
		}
		if at := f.starts(); len(at) != 5 || at[4] != 4*time.Second {
			t.Errorf("attempts at %v, want one each second", at)
		}
		if s := d.Status(); len(s) != 2 || s[0].Name != "a slow one" || s[1].Delivered != 5 {
			t.Errorf("got %+v", s)
		}
	})
}

func TestRunTwiceIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := deliver(t, Options{})
		synctest.Wait()
		if err := d.Run(t.Context()); err == nil {
			t.Error("got no error")
		}
	})
}

func TestNotificationsStayPendingWithoutRun(t *testing.T) {
	d := NewDeliverer(Options{})
	d.Add("r", newFake(false, nil)).Enqueue(fail("m", "1"))
	if p := d.Pending(); len(p) != 1 || formatAll(p[0].Notifications) != "fail:1" {
		t.Errorf("got %v", p)
	}
}
