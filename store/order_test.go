package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// Faults: A5.
func TestOlderEventNeverReplacesNewer(t *testing.T) {
	s := still(Config{})
	now := unix()
	mustPut(t, s, Accepted, status("n", running, now), check("n", "ping", ok, now), stats("n", now))
	mustPut(t, s, Outdated, status("n", isStopped, now-1), check("n", "ping", failing, now-3600), stats("n", now-1))
	if n := theNode(t, s, Query{}); n.Status != healthpb.Status_RUNNING || n.Timestamp != now {
		t.Errorf("an older status won: %+v", n)
	}
	if c := theCheck(t, s, Query{}); c.Status != healthpb.HealthCheck_OK || c.Timestamp != now {
		t.Errorf("an older check won: %+v", c)
	}
	// Of two with the same timestamp the later wins.
	mustPut(t, s, Accepted, status("n", isStopped, now))
	if n := theNode(t, s, Query{}); n.Status != healthpb.Status_STOPPED {
		t.Errorf("the later of two statuses lost: %+v", n)
	}
	if c := s.Counters(); c.Accepted != 4 || c.Outdated != 3 {
		t.Errorf("counted %d accepted and %d stale, want 4 and 3", c.Accepted, c.Outdated)
	}
}

// TestShuffledEventsGiveTheSameState: 100,000 events of 100 nodes in any order, each
// twice, end as in the order of their timestamps.
// Faults: T63, Trap4.
func TestShuffledEventsGiveTheSameState(t *testing.T) {
	const nodes = 100
	each := testkit.Fewer(1000, 100)
	synctest.Test(t, func(t *testing.T) {
		now := unix()
		type sent struct{ node, at int }
		var events []sent
		for i := range nodes * each {
			events = append(events, sent{i % nodes, i / nodes})
		}
		events = append(events, events...)
		for seed := range uint64(3) {
			s := New(Config{})
			rnd := rand.New(rand.NewPCG(seed, 9))
			rnd.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			for _, e := range events {
				ev := check(fmt.Sprintf("n%02d", e.node), "ping", int32((e.node+e.at)%4), now-int64(each-e.at))
				ev.Body = fmt.Append(nil, "body of ", e.at)
				s.Put(ev)
			}
			checks := all(t, s.Checks, Query{})
			if len(checks) != nodes {
				t.Fatalf("%d checks, want %d", len(checks), nodes)
			}
			for i, c := range checks {
				if c.Timestamp != now-1 || c.Status != healthpb.HealthCheck_Status((i+each-1)%4) || c.body != fmt.Sprint("body of ", each-1) {
					t.Fatalf("seed %d: %+v", seed, c)
				}
			}
		}
	})
}

// Faults: A12.
func TestTwoServicesMayUseOneNodeID(t *testing.T) {
	s := still(Config{})
	mustPut(t, s, Accepted, status("n", running, 0), status("n", isStopped, 0).of("thief", "1"), check("n", "ping", ok, 0))
	if n := theNode(t, s, Query{Service: "a"}); n.Status != healthpb.Status_RUNNING {
		t.Errorf("another service replaced the status: %+v", n)
	}
}

// TestConflictingIdentitiesAreShown and counted: two services or versions with one
// node id.
// Faults: T64.
func TestConflictingIdentitiesAreShown(t *testing.T) {
	bubble(t, Config{Retention: time.Hour}, func(t *testing.T, s *Store) {
		mustPut(t, s, Accepted, status("n", running, 0), status("other", running, 0))
		wantConflicts(t, s, 0, map[string]bool{"a/1/n": false, "a/1/other": false})
		mustPut(t, s, Accepted, status("n", running, 0).of("a", "2"))
		wantConflicts(t, s, 1, map[string]bool{"a/1/n": true, "a/1/other": false, "a/2/n": true})
		mustPut(t, s, Accepted, status("n", running, 0).of("b", "1"))
		mustPut(t, s, Accepted, status("n", running, 0).of("b", "1")) // no new claim
		want := map[string]bool{"a/1/n": true, "a/1/other": false, "a/2/n": true, "b/1/n": true}
		wantConflicts(t, s, 2, want)
		if p, err := s.Nodes(Query{Node: "n"}); err != nil || p.Total != 3 {
			t.Errorf("not all are visible: %+v, %v", p, err)
		}
		// The others go away for good.
		for range 12 * 3 {
			time.Sleep(5 * time.Minute)
			mustPut(t, s, Accepted, status("n", running, 0), status("other", running, 0))
		}
		wantConflicts(t, s, 2, map[string]bool{"a/1/n": false, "a/1/other": false})
	})
}

func wantConflicts(t *testing.T, s *Store, counted uint64, want map[string]bool) {
	t.Helper()
	got := map[string]bool{}
	for _, v := range all(t, s.Services, Query{Missing: true}) {
		for _, n := range v.Nodes {
			got[v.Service+"/"+v.Version+"/"+n.ID] = n.Conflict
			if m := v.Proto().Nodes[0]; m.Conflict != v.Nodes[0].Conflict {
				t.Errorf("the message says conflict %t", m.Conflict)
			}
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("conflicts %v, want %v", got, want)
	}
	if c := s.Counters().Conflicts; c != counted {
		t.Errorf("%d conflicts are counted, want %d", c, counted)
	}
}

// Faults: A13.
func TestNamesAreNotJoined(t *testing.T) {
	s := still(Config{})
	mustPut(t, s, Accepted, status("n", running, 0).of("a", "11"), status("n", running, 0).of("a1", "1"),
		status("1", running, 0).of("a", "1"), check("n", "ab", ok, 0), check("na", "b", ok, 0))
	var got []string
	for _, r := range all(t, s.Summary, Query{}) {
		got = append(got, r.Service+"@"+r.Version)
	}
	if want := []string{"a@1", "a@11", "a1@1"}; !slices.Equal(got, want) {
		t.Errorf("versions %q, want %q", got, want)
	}
	if p, err := s.Checks(Query{}); err != nil || p.Total != 2 {
		t.Errorf("%d checks, want 2", p.Total)
	}
}

// TestUnknownValuesCountAsUnknown: a status or a source that nobody defined.
func TestUnknownValuesCountAsUnknown(t *testing.T) {
	s := still(Config{})
	for i, v := range []int32{-1, 4, 77, -1 << 31} {
		ev := check("n", fmt.Sprint(i), v, 0)
		ev.Source = healthpb.HealthCheck_Source(v)
		mustPut(t, s, Accepted, ev, status(fmt.Sprint(i), v, 0))
	}
	for _, c := range all(t, s.Checks, Query{}) {
		if c.Status != healthpb.HealthCheck_UNKNOWN || c.Source != healthpb.HealthCheck_EVENT {
			t.Errorf("held as %+v", c)
		}
	}
	if got := s.Put(&Event{Kind: 3}); got != Refused {
		t.Errorf("an event of no kind: %d, want Refused", got)
	}
	verify(t, s)
}

// TestNodeIsDescribedByItsNewestEvents, and keeps what they do not tell.
func TestNodeIsDescribedByItsNewestEvents(t *testing.T) {
	s := still(Config{})
	ev := check("n", "ping", ok, 0)
	ev.Address, ev.Metadata = []byte("10.0.0.1:80"), []byte("\x1a\x06\x0a\x01k\x12\x01v")
	mustPut(t, s, Accepted, ev, status("n", running, 0))
	n := theNode(t, s, Query{}).Proto().Service.Nodes[0]
	if n.Address != "10.0.0.1:80" || n.Metadata["k"] != "v" {
		t.Errorf("the node is %v", n)
	}
	ev.Address = []byte("10.0.0.2:80")
	mustPut(t, s, Accepted, ev)
	if c := theCheck(t, s, Query{}); c.Address != "10.0.0.2:80" {
		t.Errorf("the address is %q", c.Address)
	}
}
