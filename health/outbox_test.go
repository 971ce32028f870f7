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
		o.finished(&call{event: e}, nil)
	}
	return strings.Join(out, " ")
}

func TestNewestWinsPerKeyAndKeepsItsTurn(t *testing.T) {
	var c counters
	o := newOutbox(10, &c)
	o.put(testEvent("t", "a", rankOK))
	o.put(testEvent("t", "b", rankOK))
	newest := testEvent("t", "a", rankOK)
	o.put(newest)
	o.put(testEvent("u", "a", rankOK))
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
		o.put(testEvent("t", "fine1", rankOK))
		o.put(testEvent("t", "bad", rankUrgent))
		o.put(testEvent("t", "fine2", rankOK))
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

func TestNewestStaysWhereAllMatterTheSame(t *testing.T) {
	for _, r := range []rank{rankUrgent, rankOK, rankStats} {
		var c counters
		o := newOutbox(2, &c)
		for _, id := range []string{"a", "b", "c", "d"} {
			o.put(testEvent("t", id, r))
		}
		if got := drain(o); got != "c d" || c.dropped.Load() != 2 {
			t.Errorf("rank %d: left %q with %d dropped, want the newest, c d, and 2", r, got, c.dropped.Load())
		}
	}
}

func TestFailedEventComesBackUnlessANewerOneCame(t *testing.T) {
	o := newOutbox(10, new(counters))
	old := testEvent("t", "a", rankUrgent)
	o.put(old)
	o.take()
	o.finished(&call{event: old}, errors.New("no"))
	if e := o.take(); e != old || e.tries != 2 {
		t.Fatalf("took %v, want the same again", e)
	}
	newer := testEvent("t", "a", rankUrgent)
	o.put(newer)
	o.finished(&call{event: old}, errors.New("no"))
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
		o.finished(&call{event: e}, errors.New("no"))
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
	if !o.abandon(c, true) {
		t.Fatal("not left")
	}
	if o.finished(c, nil) {
		t.Error("somebody waited for a call that was left")
	}
	if o.abandon(c, true) {
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

func TestCallThatWasLeftLeavesWhatIsNotItsOwn(t *testing.T) {
	for name, c := range map[string]struct {
		newer bool  // an event of the same key came meanwhile
		err   error // of the call that was left
		want  int   // tries of what is taken then
	}{
		"it failed":                          {false, errors.New("no"), 2},
		"it failed, and a newer event came":  {true, errors.New("no"), 1},
		"it arrived, but a newer event came": {true, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOutbox(10, new(counters))
			want := testEvent("t", "a", rankUrgent)
			o.put(want)
			left := &call{event: o.take()}
			o.abandon(left, true)
			if c.newer {
				want = testEvent("t", "a", rankUrgent)
				o.put(want)
			}
			o.finished(left, c.err)
			if e := o.take(); e != want || e.tries != c.want {
				t.Errorf("took %+v, want %+v at try %d", e, want, c.want)
			}
			if e := o.take(); e != nil {
				t.Errorf("took %+v too, want nothing", e)
			}
		})
	}
}

func TestSealedOutboxTakesNothingMore(t *testing.T) {
	var c counters
	o := newOutbox(10, &c)
	o.put(testEvent("t", "a", rankOK))
	o.seal()
	o.put(testEvent("t", "b", rankUrgent))
	if c.dropped.Load() != 1 {
		t.Errorf("%d dropped, want what came too late", c.dropped.Load())
	}
	if got := drain(o); got != "a" {
		t.Errorf("left %q, want a", got)
	}
	select {
	case <-o.flushed:
	default:
		t.Error("not flushed")
	}
}

func TestCallThatIsLeftIsMadeAgain(t *testing.T) {
	for failed, failures := range map[bool]int{true: 1, false: 0} {
		o := newOutbox(10, new(counters))
		want := testEvent("t", "a", rankUrgent)
		o.put(want)
		o.abandon(&call{event: o.take()}, failed)
		if n := o.failures(); n != failures {
			t.Errorf("left as failed %v: %d failures, want %d", failed, n, failures)
		}
		if e := o.take(); e != want || e.tries != 2 {
			t.Errorf("left as failed %v: took %+v, want the same event again", failed, e)
		}
	}
}

func TestEventOvertakenDuringItsCallCountsAsReplaced(t *testing.T) {
	for name, end := range map[string]func(*outbox, *call){
		"failed": func(o *outbox, c *call) { o.finished(c, errors.New("no")) },
		"left":   func(o *outbox, c *call) { o.abandon(c, true) },
	} {
		var c counters
		o := newOutbox(10, &c)
		o.put(testEvent("t", "a", rankUrgent))
		sent := &call{event: o.take()}
		o.put(testEvent("t", "a", rankUrgent))
		end(o, sent)
		if c.replaced.Load() != 1 || c.dropped.Load() != 0 {
			t.Errorf("%s: %d replaced and %d dropped, want 1 and 0", name, c.replaced.Load(), c.dropped.Load())
		}
	}
}

func TestSealedOutboxIsFlushedOnceItsLastCallSucceeded(t *testing.T) {
	o := newOutbox(10, new(counters))
	o.put(testEvent("t", "a", rankOK))
	sent := &call{event: o.take()}
	o.seal()
	flushed := func() bool {
		select {
		case <-o.flushed:
			return true
		default:
			return false
		}
	}
	if flushed() {
		t.Error("flushed while the last event is under way")
	}
	o.finished(sent, errors.New("no"))
	if flushed() {
		t.Error("flushed although the last event waits for another try")
	}
	o.finished(&call{event: o.take()}, nil)
	if !flushed() {
		t.Error("not flushed although the last event was taken")
	}
}
