package delivery

import (
	"context"
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
		delivered, calls := f.taken()
		if formatAll(delivered) != "fail:1" {
			t.Errorf("delivered %q, want the failure", formatAll(delivered))
		}
		checkBackoff(t, calls)
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
