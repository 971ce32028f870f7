package delivery

import (
	"fmt"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/action"
)

func TestReceiverRetainsAThousandNotificationsOfOlderIncidents(t *testing.T) {
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

func TestReceiverRetainsTwentyThousandMonitors(t *testing.T) {
	d := NewDeliverer(Options{})
	r := d.Add("r", newFake(false, nil))
	for i := range 20_001 {
		r.Enqueue(fail(fmt.Sprint(i), "1"))
	}
	if s := r.Status(); s.Depth != 20_000 || s.Dropped != 1 {
		t.Errorf("%d wait and %d were dropped, want 20000 and 1", s.Depth, s.Dropped)
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
