package delivery

import (
	"fmt"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/action"
)

func TestReceiverKeepsAThousandNoticesOfWhatIsOver(t *testing.T) {
	d := NewDeliverer(Options{})
	r := d.Add("r", newFake(false, nil))
	for i := range 1000 {
		r.Enqueue(fail("flaps", fmt.Sprint(i)))
		r.Enqueue(recovery("flaps", fmt.Sprint(i)))
	}
	// The newest incident does not count.
	if s := r.Status(); s.Depth != 1002 || s.Dropped != 998 {
		t.Errorf("%d wait and %d were dropped, want 1002 and 998", s.Depth, s.Dropped)
	}
}

func TestReceiverKnowsTwentyThousandMonitors(t *testing.T) {
	d := NewDeliverer(Options{})
	r := d.Add("r", newFake(false, nil))
	for i := range 20_001 {
		r.Enqueue(fail(fmt.Sprint(i), "1"))
	}
	if s := r.Status(); s.Depth != 20_000 || s.Dropped != 1 {
		t.Errorf("%d wait and %d were dropped, want 20000 and 1", s.Depth, s.Dropped)
	}
}

// A monitor that comes back under its name, while something of its former life has
// still to be told, is a monitor like any other: its new failure is remembered, so
// that the recovery is told.
func TestMonitorThatComesBackIsRememberedAgain(t *testing.T) {
	b := newQueue(10, 10)
	b.add(action.Notification{Monitor: "m", Event: action.Fail, Incident: "1"}, time.Now(), 0)
	b.forget("m")
	for _, n := range notices("m", "recover:1 fail:2") {
		b.add(n, time.Now(), 0)
	}
	var heard []action.Notification
	tell := func() {
		for len(b.ready) > 0 {
			for _, th := range b.take(1, false, time.Time{}) {
				heard = append(heard, th.entries[0].Notification)
				b.settle(th, outcomeDelivered)
			}
		}
	}
	tell()
	b.add(action.Notification{Monitor: "m", Event: action.Recover, Incident: "2"}, time.Now(), 0)
	tell()
	if got, want := words(heard), "fail:1 recover:1 fail:2 recover:2"; got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
	checkBacklog(t, b)
}
