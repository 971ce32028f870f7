package ingest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

// putter records what it is given, after what block says.
type putter struct {
	block func(*store.Event) store.Outcome

	mu  sync.Mutex
	got []string // kind/id of each, guarded by mu
}

func (p *putter) Put(e *store.Event) store.Outcome {
	outcome := store.Accepted
	if p.block != nil {
		outcome = p.block(e)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, fmt.Sprintf("%d/%s", e.Kind, e.ID))
	return outcome
}

func (p *putter) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.got...)
}

var protobuf = map[string]string{"Content-Type": "application/protobuf"}

// checkSum verifies that each message is accounted for once.
func checkSum(t *testing.T, c Counters, queued int) {
	t.Helper()
	sum := queued
	received := 0
	for _, n := range c.Topics {
		sum += int(n.Accepted + n.Outdated + n.Refused + n.Rejected + n.Dropped)
		received += int(n.Received)
	}
	if sum != received {
		t.Errorf("%d messages accounted for of %d received: %+v", sum, received, c)
	}
}

// Faults: T9.
func TestBlockedStoreKeepsStatusesAndFailuresAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := make(chan struct{})
		p := &putter{block: func(*store.Event) store.Outcome { <-blocked; return store.Accepted }}
		events := NewEvents(Config{Store: p, MaxQueued: 1000, Log: testkit.QuietLog()})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- events.Run(ctx) }()

		ok, failing, status, stats := eventtest.Check(), eventtest.Check(), eventtest.Status(), eventtest.Stats()
		ok.Status, ok.Id = healthpb.HealthCheck_OK, "ok"
		failing.Id = "failing"
		send := func(kind store.Kind, m proto.Message) { events.receive(kind, protobuf, eventtest.Wire(t, m), false) }
		for range 2000 {
			send(store.KindStats, stats)
			send(store.KindCheck, ok)
		}
		synctest.Wait()
		for range 300 {
			send(store.KindCheck, failing)
			send(store.KindStatus, status)
		}
		for range 2000 {
			send(store.KindStats, stats)
			send(store.KindCheck, ok)
		}
		state := events.State()
		if state.Depth != 1000 || state.DroppingSince.IsZero() {
			t.Errorf("state %+v, want 1000 queued and dropping", state)
		}
		start := time.Now()
		close(blocked)
		synctest.Wait()
		if state := events.State(); state.Depth != 0 || time.Since(start) > 0 {
			t.Errorf("state %+v after %v, want all handed over", state, time.Since(start))
		}
		count := map[string]int{}
		for _, s := range p.all() {
			count[s]++
		}
		if count["0/failing"] != 300 || count["1/"] != 300 {
			t.Errorf("handed over %v, want all failures and statuses", count)
		}
		c := events.Counters()
		if c.Dropped["failing"]+c.Dropped["status"] != 0 || c.Dropped["stats"] < 3000 || c.Dropped["check"] < 3000 {
			t.Errorf("dropped %v", c.Dropped)
		}
		checkSum(t, c, 0)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRunDrainsWhatWaitsAndThenTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &putter{block: func(*store.Event) store.Outcome { time.Sleep(time.Millisecond); return store.Outdated }}
		events := NewEvents(Config{Store: p, Log: testkit.QuietLog()})
		wire := eventtest.Wire(t, eventtest.Check())
		for range 100 {
			events.receive(store.KindCheck, protobuf, wire, false)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := events.Run(ctx); err != nil || len(p.all()) != 100 {
			t.Fatalf("%v, %d of 100 handed over", err, len(p.all()))
		}
		events.receive(store.KindCheck, protobuf, wire, false)
		c := events.Counters()
		want := TopicCounters{Received: 101, Bytes: uint64(101 * len(wire)), Outdated: 100, Dropped: 1}
		if diff := cmp.Diff(want, c.Topics[health.TopicHealthCheck]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRunDrainsWithinItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &putter{block: func(*store.Event) store.Outcome { time.Sleep(100 * time.Millisecond); return store.Refused }}
		events := NewEvents(Config{Store: p, DrainTimeout: time.Second, Log: testkit.QuietLog()})
		wire := eventtest.Wire(t, eventtest.Check())
		for range 1000 {
			events.receive(store.KindCheck, protobuf, wire, false)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		if err := events.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("took %v, want at most the second and one batch", took)
		}
		c := events.Counters()
		if c.Dropped["failing"] < 900 || c.Topics[health.TopicHealthCheck].Refused == 0 {
			t.Errorf("counters %+v", c)
		}
		checkSum(t, c, 0)
	})
}

// Faults: T62.
func TestOversizedAndForeignMessagesAreRejected(t *testing.T) {
	events := NewEvents(Config{Store: &putter{}, Log: testkit.QuietLog()})
	ten := eventtest.Check()
	ten.Description = strings.Repeat("x", 10<<20)
	events.receive(store.KindCheck, protobuf, eventtest.Wire(t, ten), false)
	events.receive(store.KindCheck, protobuf, make([]byte, health.MaxEventSize+1), false)
	events.receive(store.KindStatus, map[string]string{"Content-Type": "text/plain"}, eventtest.Wire(t, eventtest.Status()), false)
	events.receive(store.KindStats, map[string]string{"Content-Type": "application/json"}, eventtest.Wire(t, eventtest.Stats()), false)
	events.receive(store.KindStats, nil, nil, false)
	want := map[string]uint64{
		"too_large": 2, "content_type": 1, "malformed": 1, "bad_value": 0, "no_service": 1,
		"no_node": 0, "no_id": 0, "bad_identity": 0, "own_node": 0, "internal": 0,
	}
	c := events.Counters()
	if diff := cmp.Diff(want, c.Rejected); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	checkSum(t, c, 0)
	if events.State().Depth != 0 {
		t.Error("something was queued")
	}
}

func TestLargestEventIsTaken(t *testing.T) {
	events := NewEvents(Config{Store: &putter{}})
	m := eventtest.Stats()
	for m.Endpoints = nil; proto.Size(m) < health.MaxEventSize-1100; {
		m.Endpoints = append(m.Endpoints, &healthpb.Endpoint{Method: strings.Repeat("m", 1000)})
	}
	events.receive(store.KindStats, protobuf, eventtest.Wire(t, m), false)
	if events.State().Depth != 1 {
		t.Errorf("%+v", events.Counters())
	}
}

// Faults: A1.
func TestRejectionsAreLoggedOnceInTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		events := NewEvents(Config{Store: &putter{}, Log: testkit.InfoTo(&log)})
		lines := func() int { return strings.Count(log.String(), "\n") }
		for range 25 {
			for range 100 {
				events.receive(store.KindCheck, protobuf, nil, false)
			}
			time.Sleep(time.Second)
		}
		if got := lines(); got != 3 {
			t.Errorf("%d lines in 25 s, want 3:\n%s", got, log.String())
		}
		if !strings.Contains(log.String(), "times=1000") || !strings.Contains(log.String(), "reason=no_service") {
			t.Errorf("lines without what was held back:\n%s", log.String())
		}
		events.receive(store.KindCheck, map[string]string{"Content-Type": "x"}, nil, false)
		if got := lines(); got != 4 {
			t.Errorf("%d lines, want one more for another reason", got)
		}
	})
}

// Faults: I1.
func TestPanicOfTheStoreSpoilsOneEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &putter{block: func(e *store.Event) store.Outcome {
			if string(e.ID) == "bad" {
				panic("no")
			}
			return store.Accepted
		}}
		events := NewEvents(Config{Store: p, Log: testkit.QuietLog()})
		for _, id := range []string{"a", "bad", "b"} {
			events.receive(store.KindCheck, protobuf, identityOf("s", "1", "n", id), false)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := events.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"0/a", "0/b"}, p.all()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		c := events.Counters()
		if c.Rejected["internal"] != 1 {
			t.Errorf("rejected %v", c.Rejected)
		}
		checkSum(t, c, 0)
	})
}

// The brokers share the body with other subscribers, and a publisher in the same
// process may reuse it.
func TestQueuedEventsDoNotShareTheBody(t *testing.T) {
	p := &putter{}
	events := NewEvents(Config{Store: p})
	body := identityOf("s", "1", "n", "id")
	events.receive(store.KindCheck, protobuf, body, false)
	clear(body)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := events.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"0/id"}, p.all()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
