package delivery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// stopping stops a Deliverer with one attempt in flight that takes three seconds.
// When Run returns, it sends to ended how long stopping took.
func stopping(t *testing.T) (d *Deliverer, ended chan time.Duration) {
	t.Helper()
	d, stop := deliver(t, Options{})
	slow := newFake(false, func(context.Context, int, []action.Notification) error { time.Sleep(3 * time.Second); return nil })
	d.Add("slow", slow).Enqueue(fail("m", "1"))
	synctest.Wait()
	ended = make(chan time.Duration, 1)
	go func() {
		took, err := stop()
		if err != nil {
			t.Error(err)
		}
		ended <- took
	}()
	synctest.Wait()
	return d, ended
}

// A receiver added during a stop is tried once, at once, and does not delay the end.
func TestReceiverAddedWhileDrainingIsTriedOnce(t *testing.T) {
	for _, group := range []bool{false, true} {
		t.Run(fmt.Sprint("group ", group), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, ended := stopping(t)
				time.Sleep(time.Second)
				f := newFake(group, failUntil(time.Hour))
				r := d.Add("late", f)
				r.Enqueue(fail("m", "2"))
				if took := <-ended; took != 3*time.Second {
					t.Errorf("stopping took %v, want the 3s of the attempt under way", took)
				}
				if at := f.starts(); len(at) != 1 || at[0] != 0 {
					t.Errorf("attempts at %v, want one at once", at)
				}
				if pending := d.Pending(); len(pending) != 2 || pending[0].Receiver != "late" || formatAll(pending[0].Notifications) != "fail:2" {
					t.Errorf("pending %+v, want what was not delivered", pending)
				}
			})
		})
	}
}

// Restored notifications are sent even if a reload adds their receiver just before
// the end.
func TestReceiverAddedWhileDrainingGetsWhatWasRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDeliverer(Options{})
		d.Restore([]Pending{{Receiver: "late", Notifications: []action.Notification{fail("m", "1")}}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		slow := newFake(false, func(context.Context, int, []action.Notification) error { time.Sleep(3 * time.Second); return nil })
		d.Add("slow", slow).Enqueue(fail("m", "2"))
		synctest.Wait()
		cancel()
		synctest.Wait()
		f := newFake(true, nil)
		d.Add("late", f)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if delivered, _ := f.taken(); formatAll(delivered) != "fail:1" {
			t.Errorf("delivered %q, want what was restored", formatAll(delivered))
		}
	})
}

func TestReceiverAddedAfterTheEndOnlyQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ended := stopping(t)
		<-ended
		f := newFake(false, nil)
		d.Add("late", f).Enqueue(fail("m", "2"))
		time.Sleep(time.Hour)
		if _, calls := f.taken(); len(calls) != 0 {
			t.Errorf("%d attempts after the end, want none", len(calls))
		}
		if pending := d.Pending(); len(pending) != 2 || pending[0].Receiver != "late" || formatAll(pending[0].Notifications) != "fail:2" {
			t.Errorf("pending %+v, want the notification that came too late", pending)
		}
	})
}

// Most receivers are added while the Deliverer runs, by a reload or a registration.
// They are retried as usual.
func TestReceiverAddedWhileRunningIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := deliver(t, Options{})
		synctest.Wait()
		f := newFake(false, failUntil(time.Hour))
		d.Add("r", f).Enqueue(fail("m", "1"))
		time.Sleep(2 * time.Hour)
		checkRetried(t, f)
	})
}

func TestRemovedReceiverCountsAsAChange(t *testing.T) {
	k := &persister{}
	d := NewDeliverer(Options{Persister: k})
	k.from = d
	d.Add("r", newFake(false, nil)).Enqueue(fail("m", "1"))
	before := k.Changed()
	if undelivered := d.Remove("r"); formatAll(undelivered) != "fail:1" {
		t.Errorf("undelivered %q, want the failure", formatAll(undelivered))
	}
	if k.Changed() == before+1 {
		t.Error("it is not counted as a change: the notification stays persisted")
	}
	before = k.Changed()
	d.Remove("r")
	if k.Changed() != before+1 {
		t.Error("removing an unknown receiver is counted as a change")
	}
}

func TestRunAfterTheEndIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, stop := deliver(t, Options{})
		synctest.Wait()
		if _, err := stop(); err != nil {
			t.Fatal(err)
		}
		if err := d.Run(t.Context()); err == nil {
			t.Error("got no error")
		}
	})
}

func TestReceiverRetainsAThousandNotificationsOfOlderIncidents(t *testing.T) {
	d := NewDeliverer(Options{})
	r := d.Add("r", newFake(false, nil))
	for i := range 1000 {
		r.Enqueue(fail("flaps", fmt.Sprint(i)))
		r.Enqueue(recovery("flaps", fmt.Sprint(i)))
	}
	// The newest incident does not count.
	if s := r.Status(); s.Pending != 1002 || s.Dropped != 998 {
		t.Errorf("%d wait and %d were dropped, want 1002 and 998", s.Pending, s.Dropped)
	}
}

func TestReceiverRetainsTwentyThousandMonitors(t *testing.T) {
	d := NewDeliverer(Options{})
	r := d.Add("r", newFake(false, nil))
	for i := range 20_001 {
		r.Enqueue(fail(fmt.Sprint(i), "1"))
	}
	if s := r.Status(); s.Pending != 20_000 || s.Dropped != 1 {
		t.Errorf("%d wait and %d were dropped, want 20000 and 1", s.Pending, s.Dropped)
	}
}

// A monitor that is removed and registered again while notifications are pending is
// remembered like any other, so its recovery is delivered.
func TestMonitorThatComesBackIsRememberedAgain(t *testing.T) {
	b := newQueue(10, 10)
	b.add(action.Notification{Monitor: "m", Event: action.Fail, Incident: "1"}, time.Now(), 0)
	b.forget("m")
	addAll(b, "m", "recover:1 fail:2")
	received := deliverAll(b)
	b.add(action.Notification{Monitor: "m", Event: action.Recover, Incident: "2"}, time.Now(), 0)
	received = append(received, deliverAll(b)...)
	if got, want := formatAll(received), "fail:1 recover:1 fail:2 recover:2"; got != want {
		t.Errorf("received %q, want %q", got, want)
	}
	checkQueue(t, b)
}

// Init notifications are grouped, and never delay a failure that follows them.
func TestInitNotificationsAreGroupedAndDelayNoFailure(t *testing.T) {
	started := func(name string) action.Notification {
		return action.Notification{Monitor: name, Event: action.Init, Time: time.Now()}
	}
	synctest.Test(t, func(t *testing.T) {
		f, r := receiving(t, true, func(context.Context, int, []action.Notification) error { return nil })
		messages := func() string {
			synctest.Wait()
			var all []string
			_, calls := f.taken()
			for _, c := range calls {
				all = append(all, fmt.Sprintf("%v %s", c.at, formatAll(c.notifications)))
			}
			return fmt.Sprintf("%q", all)
		}
		r.Enqueue(started("a"))
		time.Sleep(2 * time.Second)
		r.Enqueue(started("b"))
		time.Sleep(20 * time.Second)
		if got := messages(); got != `["10s init: init:"]` {
			t.Errorf("Init notifications only: %s", got)
		}
		r.Enqueue(fail("a", "1"))
		r.Enqueue(started("c"))
		time.Sleep(3 * time.Second)
		if got := messages(); got != `["10s init: init:" "22s fail:1 init:"]` {
			t.Errorf("a failure: %s", got)
		}
		r.Enqueue(started("d"))
		time.Sleep(time.Second)
		r.Enqueue(recovery("a", "1"))
		time.Sleep(20 * time.Second)
		if got := messages(); got != `["10s init: init:" "22s fail:1 init:" "32s init: recover:1"]` {
			t.Errorf("after a failure: %s", got)
		}
	})
}

// When the context of Run ends, an attempt in flight may go on for Options.Stop. Then
// its context ends with a cause.
func TestAttemptInFlightMayFinishDuringAStop(t *testing.T) {
	for takes, want := range map[time.Duration]string{3 * time.Second: "fail:1", 8 * time.Second: ""} {
		t.Run(takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cause error
				f := newFake(false, func(ctx context.Context, _ int, _ []action.Notification) error {
					select {
					case <-time.After(takes):
						return nil
					case <-ctx.Done():
						cause = context.Cause(ctx)
						return ctx.Err()
					}
				})
				d, stop := deliver(t, Options{})
				d.Add("r", f).Enqueue(fail("m", "1"))
				synctest.Wait()
				took, err := stop()
				if limit := min(takes, 7*time.Second); err != nil || took != limit {
					t.Errorf("stopping took %v, %v, want %v", took, err, limit)
				}
				delivered, _ := f.taken()
				if formatAll(delivered) != want || (cause != nil) != (want == "") || errors.Is(cause, context.Canceled) {
					t.Errorf("delivered %q with the cause %v, want %q", formatAll(delivered), cause, want)
				}
			})
		})
	}
}
