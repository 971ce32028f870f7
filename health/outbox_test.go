package health

import (
	"errors"
	"strings"
	"testing"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func testEvent(topic, id string, r rank) *event {
	return &event{key: eventKey{topic, id}, rank: r, msg: &healthpb.HealthCheck{Id: id}}
}

// drain takes all in the order in which it leaves.
func drain(o *outbox) string {
	var out []string
	for e := o.take(); e != nil; e = o.take() {
		out = append(out, e.key.check)
		o.returned(&call{event: e}, nil)
	}
	return strings.Join(out, " ")
}

func TestNewestWinsPerKeyAndKeepsItsTurn(t *testing.T) {
	var c counters
	o := newOutbox(10, &c)
	o.put(testEvent("t", "a", rankFine))
	o.put(testEvent("t", "b", rankFine))
	newest := testEvent("t", "a", rankFine)
	o.put(newest)
	o.put(testEvent("u", "a", rankFine))
	if first := o.take(); first != newest {
		t.Errorf("took %v, want the newest of a", first)
	}
	if got := drain(o); got != "b a" || c.replaced.Load() != 1 {
		t.Errorf("left %q with %d replaced, want b a and 1", got, c.replaced.Load())
	}
}

func TestWhatMattersLeavesFirstAndStays(t *testing.T) {
	fill := func(o *outbox) {
		o.put(testEvent("t", "stats", rankStats))
		o.put(testEvent("t", "fine1", rankFine))
		o.put(testEvent("t", "bad", rankUrgent))
		o.put(testEvent("t", "fine2", rankFine))
		o.put(testEvent("t", "stopped", rankStopped))
	}
	for limit, want := range map[int]string{
		10: "stopped bad fine1 fine2 stats",
		4:  "stopped bad fine1 fine2",
		3:  "stopped bad fine2",
		2:  "stopped bad",
		1:  "stopped",
	} {
		var c counters
		o := newOutbox(limit, &c)
		fill(o)
		if got := drain(o); got != want || int(c.dropped.Load()) != max(5-limit, 0) {
			t.Errorf("limit %d: left %q with %d dropped, want %q", limit, got, c.dropped.Load(), want)
		}
	}
	o := newOutbox(1, new(counters))
	o.put(testEvent("t", "bad", rankUrgent))
	o.put(testEvent("t", "stats", rankStats))
	if got := drain(o); got != "bad" {
		t.Errorf("left %q, want bad: stats may not push it out", got)
	}
}

func TestFailedEventComesBackUnlessANewerOneCame(t *testing.T) {
	o := newOutbox(10, new(counters))
	old := testEvent("t", "a", rankUrgent)
	o.put(old)
	o.take()
	o.returned(&call{event: old}, errors.New("no"))
	if e := o.take(); e != old || e.tries != 2 {
		t.Fatalf("took %v, want the same again", e)
	}
	newer := testEvent("t", "a", rankUrgent)
	o.put(newer)
	o.returned(&call{event: old}, errors.New("no"))
	if e := o.take(); e != newer {
		t.Errorf("took %v, want the newer one", e)
	}
	if e := o.take(); e != nil {
		t.Errorf("took %v, want nothing", e)
	}
}

func TestStoppedIsTriedThreeTimesBeforeOthers(t *testing.T) {
	o := newOutbox(10, new(counters))
	o.put(testEvent("t", "bad", rankUrgent))
	o.put(testEvent("t", "stopped", rankStopped))
	var order []string
	for range 6 {
		e := o.take()
		order = append(order, e.key.check)
		o.returned(&call{event: e}, errors.New("no"))
	}
	if got := strings.Join(order, " "); got != "stopped stopped stopped bad bad bad" {
		t.Errorf("tried in the order %s", got)
	}
}

func TestCallThatWasLeftAndSucceedsIsNotRepeated(t *testing.T) {
	o := newOutbox(10, new(counters))
	e := testEvent("t", "a", rankUrgent)
	o.put(e)
	c := &call{event: o.take()}
	if !o.leave(c, true) {
		t.Fatal("not left")
	}
	if o.returned(c, nil) {
		t.Error("somebody waited for a call that was left")
	}
	if o.leave(c, true) {
		t.Error("left a call that had returned")
	}
	if again := o.take(); again != nil {
		t.Errorf("took %v, which had arrived", again)
	}
	if n, _ := o.unsent(); n != 0 {
		t.Errorf("%d events are unsent, want none", n)
	}
	o.seal()
	select {
	case <-o.flushed:
	default:
		t.Error("not flushed")
	}
}
