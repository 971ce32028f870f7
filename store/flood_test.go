package store

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// TestFloodLosesNoUpdates: 100,000 new ids while 1,000 nodes report.
// Faults: T60.
func TestFloodLosesNoUpdates(t *testing.T) {
	testkit.SkipIfShort(t)
	bubble(t, Config{MaxEntries: 20000, Transitions: 1000}, func(t *testing.T, s *Store) {
		const known, flood = 1000, 100000
		report := func(now int64) {
			for i := range known {
				mustPut(t, s, Accepted, check(fmt.Sprint("known-", i), "ping", ok, now).of("fleet", "1"))
			}
		}
		report(unix())
		before := testkit.HeapInUse()
		sent := 0
		for range 60 { // seconds
			for range flood / 60 {
				ev := check(fmt.Sprint("evil-", sent%700), fmt.Sprint("id-", sent), ok, 0).of(fmt.Sprint("evil-", sent%3), "1")
				ev.TTL = 60
				s.Put(ev)
				sent++
			}
			if unix()%10 == 0 {
				report(unix())
			}
			time.Sleep(time.Second)
		}
		c := s.Counters()
		if held := c.Checks + c.Statuses + c.Stats; held > 20000 || c.Refused == 0 || c.Refused+c.Accepted+c.Outdated < uint64(sent) {
			t.Errorf("counters: %+v", c)
		}
		for _, c := range all(t, s.Checks, Query{Service: "fleet"}) {
			if c.Status.String() != "OK" || unix()-c.Received > 11 {
				t.Fatalf("an update was lost: %+v", c)
			}
		}
		if p, err := s.Checks(Query{Service: "fleet"}); err != nil || p.Total != known {
			t.Fatalf("%d of %d nodes are known, %v", p.Total, known, err)
		}
		for range 2 * 6 { // what was flooded goes missing; then it has to make room
			time.Sleep(10 * time.Second)
			report(unix())
		}
		mustPut(t, s, Accepted, check("late", "ping", ok, 0).of("newcomer", "1"))
		for range 25 * 60 {
			time.Sleep(time.Minute)
		}
		report(unix())
		after := testkit.HeapInUse()
		t.Logf("heap %d kB before, %d kB after", before/1000, after/1000)
		if after > before+before/5 {
			t.Errorf("the heap grew from %d to %d", before, after)
		}
		verify(t, s)
	})
}

// TestFloodByOneServiceLeavesRoomForOthers, be it of checks, nodes or versions.
// Faults: T61.
func TestFloodByOneServiceLeavesRoomForOthers(t *testing.T) {
	for name, event := range map[string]func(i int) *Event{
		"nodes":    func(i int) *Event { return check(fmt.Sprint("n", i), "c", ok, 0).of("evil", "1") },
		"versions": func(i int) *Event { return check("n", "c", ok, 0).of("evil", fmt.Sprint(i)) },
		"checks":   func(i int) *Event { return check(fmt.Sprint("n", i%900), fmt.Sprint(i), ok, 0).of("evil", "1") },
	} {
		t.Run(name, func(t *testing.T) {
			s := still(Config{MaxNodes: 1000, MaxEntries: 10000})
			for i := range 20000 {
				s.Put(event(i))
			}
			for i := range 100 {
				mustPut(t, s, Accepted, check("n", "c", ok, 0).of(fmt.Sprint("other-", i), "1"),
					status("n", running, 0).of(fmt.Sprint("other-", i), "1"))
			}
			for i := range 100 { // of what is held, updates are taken
				mustPut(t, s, Accepted, event(i))
			}
			top := s.Refusals()
			if len(top) != 1 || top[0].Service != "evil" || top[0].Count != s.Counters().Refused || top[0].Count < 10000 {
				t.Errorf("refusals: %+v", top)
			}
			verify(t, s)
		})
	}
}

// TestOneServiceAloneMayUseHalf, and the rest of its share is for what is new
// instead of what is missing.
func TestOneServiceAloneMayUseHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{MaxEntries: 100})
		for i := range 50 {
			mustPut(t, s, Accepted, check("n", fmt.Sprint(i), ok, 0))
		}
		mustPut(t, s, Refused, check("n", "more", ok, 0), check("m", "more", ok, 0))
		for i := range 20 {
			mustPut(t, s, Accepted, check("n", fmt.Sprint(i), ok, 0).of("b", "1"), status(fmt.Sprint(i), running, 0).of("c", "1"))
		}
		mustPut(t, s, Refused, check("n", "more", ok, 0).of("b", "1"), stats("n", 0).of("c", "1"))
		time.Sleep(30 * time.Minute)
		for i := range 49 {
			mustPut(t, s, Accepted, check("n", fmt.Sprint(i), ok, 0))
		}
		time.Sleep(30 * time.Minute) // all but those are missing
		mustPut(t, s, Accepted, check("n", "instead of 49", ok, 0), status("new", running, 0).of("c", "1"))
		mustPut(t, s, Refused, check("n", "more", ok, 0))
		if _, err := s.Checks(Query{ID: "49"}); err == nil {
			t.Error("what is missing is still there")
		}
		if c := s.Counters(); c.Evicted != 2 || c.Checks+c.Statuses != 90 {
			t.Errorf("counters: %+v", c)
		}
		verify(t, s)
	})
}

// TestRefusalsNameTheWorst among more services than are counted one by one.
func TestRefusalsNameTheWorst(t *testing.T) {
	s := still(Config{MaxServices: 1})
	mustPut(t, s, Accepted, check("n", "c", ok, 0))
	for i := range 51000 {
		name := fmt.Sprint("random-", i)
		switch {
		case i < 1000: // so that the worst come late
		case i%4 == 0:
			name = "worst"
		case i%10 == 1:
			name = "second"
		}
		mustPut(t, s, Refused, check("n", "c", ok, 0).of(name, "1"))
	}
	top := s.Refusals()
	if len(top) != maxRefusals || top[0].Service != "worst" || top[1].Service != "second" {
		t.Fatalf("refusals: %+v", top)
	}
	for i, want := range []uint64{12500, 5000} {
		if r := top[i]; r.Count < want || r.Count-r.Error > want || r.Error == 0 {
			t.Errorf("%+v, but there were %d", r, want)
		}
	}
	if len(s.refused.top) > sketchSize {
		t.Errorf("%d services are counted, want at most %d", len(s.refused.top), sketchSize)
	}
}
