package store

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/internal/testkit"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// fat returns a check whose body takes a little more than size bytes.
func fat(t *testing.T, id string, size int) *Event {
	t.Helper()
	body, err := proto.Marshal(&healthpb.HealthCheck{
		Results: map[string]string{"r": strings.Repeat("x", size)}, Error: strings.Repeat("é", 300),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Event{
		Kind: KindCheck, Service: []byte("s"), Version: []byte("1"), Node: []byte("n"), ID: []byte(id),
		Description: []byte("d"), Status: int32(healthpb.HealthCheck_ERROR), Interval: 10, TTL: 60, Body: body,
	}
}

// TestForgottenEntriesAreFreed: once all is forgotten the heap is as it was.
// Faults: A6.
func TestForgottenEntriesAreFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(roomy())
		f := newFleet(700, 10)
		f.fill(s) // so that the ring is full of such transitions before, too
		time.Sleep(2 * time.Hour)
		s.advance()
		time.Sleep(25 * time.Hour)
		s.advance()
		before := testkit.HeapInUse()
		for round := range 2 {
			f.unix = unix()
			f.fill(s)
			full := testkit.HeapInUse()
			time.Sleep(2 * time.Hour)
			s.advance()
			time.Sleep(25 * time.Hour)
			if c := s.Counters(); c.Services+c.Nodes+c.Checks != 0 || len(s.texts.table.m) != 0 {
				t.Fatalf("round %d: left are %+v", round, c)
			}
			after := testkit.HeapInUse()
			t.Logf("heap %d kB, full %d kB, after %d kB", before/1000, full/1000, after/1000)
			if after > before+before/5 {
				t.Errorf("round %d: the heap grew from %d to %d", round, before, after)
			}
		}
		verify(t, s)
	})
}

// TestDefaultCapsOfTheStore are those that the threat model names.
// Faults: A7.
func TestDefaultCapsOfTheStore(t *testing.T) {
	want := Config{
		Retention: 24 * time.Hour, Transitions: 16384,
		MaxServices: 2000, MaxNodes: 10_000, MaxChecksPerNode: 200, MaxEntries: 100_000,
		MaxBytes: 256 << 20, Share: 0.2,
	}
	for _, given := range []Config{{}, {
		Retention: -1, Transitions: -1, MaxServices: -1, MaxNodes: -1, MaxChecksPerNode: -1, MaxEntries: -1,
		MaxBytes: -1, Share: math.NaN(),
	}} {
		if got := given.withDefaults(); got != want {
			t.Errorf("the caps are %+v, want %+v", got, want)
		}
	}
}

// TestCapsOfTheStoreHold for each kind of key, while updates are taken.
// Faults: A7.
func TestCapsOfTheStoreHold(t *testing.T) {
	cfg := Config{MaxServices: 5, MaxNodes: 20, MaxChecksPerNode: 7, MaxEntries: 60, Share: 1}
	for name, tc := range map[string]struct {
		event func(i int) *Event
		held  int
	}{
		"services": {func(i int) *Event { return check("n", "c", ok, 0).of(fmt.Sprint("s", i), "1") }, 5},
		"versions": {func(i int) *Event { return check("n", "c", ok, 0).of("s", fmt.Sprint(i)) }, 20},
		"nodes":    {func(i int) *Event { return stats(fmt.Sprint(i), 0) }, 20},
		"checks":   {func(i int) *Event { return check("n", fmt.Sprint(i), ok, 0) }, 7},
		"entries":  {func(i int) *Event { return check(fmt.Sprint("n", i%10), fmt.Sprint(i), ok, 0) }, 60},
	} {
		t.Run(name, func(t *testing.T) {
			s := still(cfg)
			for i := range 1000 {
				if got, want := s.Put(tc.event(i)), Accepted; i < tc.held && got != want {
					t.Fatalf("event %d: %d", i, got)
				} else if i >= tc.held && got != Refused {
					t.Fatalf("event %d: %d, want Refused", i, got)
				}
			}
			for i := range tc.held {
				mustPut(t, s, Accepted, tc.event(i))
			}
			c := s.Counters()
			if c.Refused != uint64(1000-tc.held) || c.Evicted != 0 || c.Checks+c.Stats != tc.held {
				t.Errorf("counters: %+v", c)
			}
			verify(t, s)
		})
	}
}

// TestEvictionOrder: what is missing goes first, then nodes stopped long ago;
// what is live, failing, silent or only just stopped never does.
// Faults: A7.
func TestEvictionOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{MaxEntries: 6, Share: 1})
		short := func(ev *Event) *Event { ev.TTL = 60; return ev }
		put := func(want Outcome, node string) { t.Helper(); mustPut(t, s, want, check(node, "new", ok, 0)) }
		mustPut(t, s, Accepted,
			short(status("stopped long ago", isStopped, 0)),
			short(check("missing first", "c", ok, 0)))
		time.Sleep(time.Second)
		mustPut(t, s, Accepted, short(check("missing later", "c", failing, 0)))
		time.Sleep(70 * time.Second)
		mustPut(t, s, Accepted, check("silent", "c", ok, 0), short(status("just stopped", isStopped, 0)))
		time.Sleep(2 * time.Second) // reported twice, so it is not invented
		mustPut(t, s, Accepted, check("silent", "c", ok, 0))
		time.Sleep(30 * time.Second)
		mustPut(t, s, Accepted, check("failing", "c", failing, 0))
		for _, gone := range []string{"missing first", "missing later", "stopped long ago"} {
			put(Accepted, "instead of "+gone)
			if n := len(all(t, s.Checks, Query{Node: gone, Missing: true})) + len(all(t, s.Nodes, Query{Node: gone, Missing: true})); n != 0 {
				t.Fatalf("%q was not the next to go", gone)
			}
			verify(t, s)
		}
		put(Refused, "one too many")
		wantLines(t, s, TransitionQuery{Node: "missing later"},
			"missing later/c UNKNOWN->ERROR: first report",
			"missing later/c ERROR->UNKNOWN: no report for 1m10s (interval 10s)",
			"missing later/c UNKNOWN->MISSING: missing: no report for 1m10s (ttl 1m0s)",
			"missing later/c MISSING->FORGOTTEN: evicted: its room was needed")
		if c := s.Counters(); c.Evicted != 3 || c.Refused != 1 || c.Checks+c.Statuses != 6 {
			t.Errorf("counters: %+v", c)
		}
		// Room for a check of its own is made within the node, for a node and for a
		// service among their like.
		s = New(Config{MaxChecksPerNode: 2, MaxNodes: 3, MaxServices: 2, Share: 1})
		mustPut(t, s, Accepted, short(check("n", "old", ok, 0)), check("n", "c", ok, 0),
			short(check("m", "c", ok, 0)), short(stats("m", 0)), short(check("x", "c", ok, 0).of("b", "1")))
		time.Sleep(61 * time.Second)
		mustPut(t, s, Accepted, check("n", "new", ok, 0), check("o", "c", ok, 0), check("y", "c", ok, 0).of("c", "1"))
		mustPut(t, s, Refused, check("n", "newer", ok, 0), check("p", "c", ok, 0), check("z", "c", ok, 0).of("d", "1"))
		if c := s.Counters(); c.Evicted != 4 || c.Nodes != 3 || c.Services != 2 {
			t.Errorf("counters: %+v", c)
		}
		// Of nodes, too, those that are missing go before those that were stopped.
		s = New(Config{MaxNodes: 3, Share: 1})
		mustPut(t, s, Accepted, short(status("a", isStopped, 0)), short(status("b", running, 0)), check("c", "c", ok, 0))
		time.Sleep(61 * time.Second)
		mustPut(t, s, Accepted, check("c", "c", ok, 0))
		for i, gone := range []string{"b", "a"} {
			mustPut(t, s, Accepted, check(fmt.Sprint("new", i), "c", ok, 0))
			if _, err := s.Nodes(Query{Node: gone}); !errors.Is(err, ErrNotFound) {
				t.Errorf("node %q is still there, %v", gone, err)
			}
		}
		mustPut(t, s, Refused, check("new3", "c", ok, 0))
		verify(t, s)
	})
}

// TestLargeDeadServiceMakesRoomInSeveralGoes, so that no Put takes long.
func TestLargeDeadServiceMakesRoomInSeveralGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{MaxServices: 1})
		const nodes = 3 * maxStep
		for i := range nodes {
			ev := stats(fmt.Sprint(i), 0)
			ev.TTL = 1
			mustPut(t, s, Accepted, ev)
		}
		time.Sleep(time.Hour)
		tries := 1
		for ; s.Put(stats("n", 0).of("b", "1")) == Refused; tries++ {
			if tries > 100 {
				t.Fatal("there never is room")
			}
		}
		if tries < 3 {
			t.Errorf("%d entries were evicted in %d goes", nodes, tries)
		}
		verify(t, s)
	})
}

// TestNoLockIsHeldForLong: a mass of silence is judged in small steps, and a
// page looks only at what it shows.
// Faults: A14.
func TestNoLockIsHeldForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(roomy())
		f := newFleet(500, 10)
		f.fill(s)
		for _, silence := range []time.Duration{16 * time.Second, 2 * time.Hour, 25 * time.Hour} {
			time.Sleep(silence)
			steps := 0
			for ; s.clock.overdue(); steps++ {
				before := s.ring.recorded()
				s.step()
				if n := s.ring.recorded() - before; n > maxStep {
					t.Fatalf("%d entries were judged at once, want at most %d", n, maxStep)
				}
			}
			if want := f.size() / maxStep; steps < want {
				t.Errorf("after %s: %d steps, want at least %d", silence, steps, want)
			}
		}
	})
}

// A flood of the largest checks cannot take more memory than the budget: new keys
// are refused, known ones are taken without their results, and what is missing
// makes room.
// Faults: A7.
func TestBytesOfTheStoreAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const budget = 100_000
		s := New(Config{MaxBytes: budget, Share: 1})
		taken := 0
		for i := range 100 {
			if s.Put(fat(t, fmt.Sprint(i), 5000)) == Accepted {
				taken++
			}
		}
		c := s.Counters()
		if taken < 15 || taken > 18 || c.Bytes > budget || c.Refused != uint64(100-taken) {
			t.Fatalf("%d taken, %+v", taken, c)
		}
		time.Sleep(2 * time.Second)
		if got := s.Put(fat(t, "0", 50_000)); got != Accepted {
			t.Fatalf("an update beyond the budget: %v", got)
		}
		page, err := s.Checks(Query{ID: "0"})
		if err != nil {
			t.Fatal(err)
		}
		hc := page.Items[0].Proto()
		if len(hc.Results) != 0 || hc.Status != healthpb.HealthCheck_ERROR || !strings.HasPrefix(hc.Error, "éé") || len(hc.Error) > maxBriefError {
			t.Errorf("kept %v", hc)
		}
		if c := s.Counters(); c.Trimmed != 1 || c.Bytes > budget {
			t.Errorf("%+v", c)
		}
		// Once they are missing they make room, and the sum comes down to nothing.
		time.Sleep(2 * time.Minute)
		if got := s.Put(fat(t, "new", 5000)); got != Accepted {
			t.Errorf("a new key while others are missing: %v", got)
		}
		time.Sleep(time.Hour)
		s.Counters() // judges, as Run would
		time.Sleep(72 * time.Hour)
		if c := s.Counters(); c.Bytes != 0 || c.Checks != 0 {
			t.Errorf("after all is forgotten: %+v", c)
		}
	})
}
