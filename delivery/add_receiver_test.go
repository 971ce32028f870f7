package delivery

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// stopping starts to stop a Deliverer that has one attempt under way, which takes
// three seconds, and returns it with a channel that tells when Run has ended.
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

// A receiver that is added while the program stops is tried as all others are:
// once, at once, and it does not put off the end.
func TestReceiverAddedWhileDrainingIsTriedOnce(t *testing.T) {
	for _, group := range []bool{false, true} {
		t.Run(fmt.Sprint("group ", group), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, ended := stopping(t)
				time.Sleep(time.Second)
				f := newFake(group, down(time.Hour))
				r := d.Add("late", f)
				r.Enqueue(fail("m", "2"))
				if took := <-ended; took != 3*time.Second {
					t.Errorf("stopping took %v, want the 3s of the attempt under way", took)
				}
				if at := f.starts(); len(at) != 1 || at[0] != 0 {
					t.Errorf("attempts at %v, want one at once", at)
				}
				if owed := d.Pending(); len(owed) != 2 || owed[0].Receiver != "late" || words(owed[0].Notifications) != "fail:2" {
					t.Errorf("owed %+v, want what could not be told", owed)
				}
			})
		})
	}
}

// What a receiver owes from an earlier run is told even if the receiver comes only
// now, as does one that the reloaded configuration brings just before the end.
func TestReceiverAddedWhileDrainingTellsWhatWasRestored(t *testing.T) {
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
		if told, _ := f.taken(); words(told) != "fail:1" {
			t.Errorf("told %q, want what was restored", words(told))
		}
	})
}

func TestReceiverAddedAfterTheEndOnlyKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ended := stopping(t)
		<-ended
		f := newFake(false, nil)
		d.Add("late", f).Enqueue(fail("m", "2"))
		time.Sleep(time.Hour)
		if _, calls := f.taken(); len(calls) != 0 {
			t.Errorf("%d attempts after the end, want none", len(calls))
		}
		if owed := d.Pending(); len(owed) != 2 || owed[0].Receiver != "late" || words(owed[0].Notifications) != "fail:2" {
			t.Errorf("owed %+v, want the notice that came too late", owed)
		}
	})
}

// Most receivers come while the Deliverer runs, with the files that are read again
// and the monitors that are registered: nothing of a stop holds for them.
func TestReceiverAddedWhileRunningIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := deliver(t, Options{})
		synctest.Wait()
		f := newFake(false, down(time.Hour))
		d.Add("r", f).Enqueue(fail("m", "1"))
		time.Sleep(2 * time.Hour)
		told, calls := f.taken()
		if words(told) != "fail:1" {
			t.Errorf("told %q, want the failure", words(told))
		}
		checkBackoff(t, calls)
	})
}

func TestReceiverThatGoesIsAChange(t *testing.T) {
	k := &keeper{}
	d := NewDeliverer(Options{Persister: k})
	k.from = d
	d.Add("r", newFake(false, nil)).Enqueue(fail("m", "1"))
	before := k.Changed()
	if untold := d.Remove("r"); words(untold) != "fail:1" {
		t.Errorf("untold %q, want the failure", words(untold))
	}
	if k.Changed() == before+1 {
		t.Error("it counts as no change: what is written down still owes it")
	}
	before = k.Changed()
	d.Remove("r")
	if k.Changed() != before+1 {
		t.Error("the going of one that was not there counts as a change")
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
