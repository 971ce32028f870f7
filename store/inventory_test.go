package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// journal keeps what the changes of nodes leave.
type journal map[string][]byte

// take writes the changes down and returns the nodes they are about.
func (j journal) take(s *Store) (nodes []string) {
	for {
		changes := s.NodeChanges()
		if len(changes) == 0 {
			slices.Sort(nodes)
			return nodes
		}
		for _, c := range changes {
			nodes = append(nodes, strings.Split(c.Key, "\x00")[2])
			if j[c.Key] = c.Record; len(c.Record) == 0 {
				delete(j, c.Key)
			}
		}
	}
}

func (j journal) tell(t *testing.T, s *Store) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(j)) {
		if err := s.ExpectNode(SnapshotVersion, j[k]); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNodesThatReportAgainAreInTheInventory, and those that somebody vouches for, until
// they are forgotten. What reported only once may be invented.
func TestNodesThatReportAgainAreInTheInventory(t *testing.T) {
	bubble(t, Config{Inventory: true, Own: "me"}, func(t *testing.T, s *Store) {
		j := journal{}
		wantTaken := func(when string, want ...string) {
			t.Helper()
			if got := j.take(s); !slices.Equal(got, want) {
				t.Errorf("%s: changed are %q, want %q", when, got, want)
			}
		}
		s.Believe("a", "registered", true)
		events := []*Event{check("n", "ping", ok, 0), check("once", "ping", ok, 0), status("registered", running, 0), status("me", running, 0)}
		mustPut(t, s, Accepted, events...)
		wantTaken("at first", "registered")
		time.Sleep(10 * time.Second)
		mustPut(t, s, Accepted, events[0], events[2], events[3])
		wantTaken("ten seconds later", "n", "registered")
		mustPut(t, s, Accepted, status("registered", isStopped, 0))
		wantTaken("stopped", "registered")
		mustPut(t, s, Accepted, status("registered", isStopped, 0), events[0])
		wantTaken("nothing new")
		mustPut(t, s, Accepted, status("registered", started, 0))
		wantTaken("started again", "registered")
		lost := s.NodeChanges()
		s.RepeatNodeChanges(append(lost, NodeChange{Key: "a\x001\x00n"}))
		wantTaken("not written", "n")
		if len(j) != 2 {
			t.Errorf("%d nodes, want 2", len(j))
		}
		time.Sleep(26 * time.Hour)
		wantTaken("forgotten", "n", "registered")
		if len(j) != 0 {
			t.Errorf("left are %q", j)
		}
	})
	s := New(Config{})
	s.Believe("a", "", true)
	mustPut(t, s, Accepted, check("n", "ping", ok, 0))
	if len(s.NodeChanges()) != 0 || len(s.changedNodes) != 0 {
		t.Error("nobody asked for changes")
	}
}

// TestWhatHappenedAfterTheSnapshotIsInTheInventory: a node that the snapshot does not
// hold is missed if it does not report, and one that was stopped raises nothing.
func TestWhatHappenedAfterTheSnapshotIsInTheInventory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journal{}
		s := New(Config{Inventory: true})
		s.Believe("a", "", true)
		nightly := check("nightly", "backup", failing, 0).saying("secret")
		nightly.Interval, nightly.TTL = 86400, 2*86400
		mustPut(t, s, Accepted, status("old", running, 0), check("old", "ping", ok, 0), status("ends", running, 0), check("ends", "ping", ok, 0))
		time.Sleep(time.Second)
		records := snapshot(t, s)
		mustPut(t, s, Accepted, status("ends", isStopped, 0), status("dies", running, 0), status("lives", running, 0), nightly, stats("counts", 0))
		mustPut(t, s, Accepted, status("came and went", running, 0), status("came and went", isStopped, 0))
		if got := j.take(s); len(got) != 7 {
			t.Fatalf("the inventory is %q", got)
		}
		time.Sleep(10 * time.Minute)

		s = New(Config{Inventory: true})
		s.Believe("a", "", true)
		for _, record := range records {
			if err := s.ReadSnapshot(SnapshotVersion, record); err != nil {
				t.Fatal(err)
			}
		}
		s.Resume(10 * time.Minute)
		before := len(lines(s, TransitionQuery{}))
		j.tell(t, s)
		if got := j.take(s); !slices.Equal(got, []string{"ends"}) {
			t.Errorf("written again are %q, want what was changed", got)
		}
		if c := theCheck(t, s, Query{ID: "backup"}); c.Status != healthpb.HealthCheck_UNKNOWN || c.Age != 10*time.Minute || c.Interval != 24*time.Hour || len(c.body) > 0 {
			t.Errorf("the nightly job: %+v", c)
		}
		if got := all(t, s.Nodes, Query{NodeStatuses: []healthpb.Status_Status{healthpb.Status_STOPPED}}); len(got) != 2 {
			t.Errorf("stopped are %+v", got)
		}
		mustPut(t, s, Accepted, status("old", running, 0), status("lives", running, 0), check("old", "ping", ok, 0))
		time.Sleep(time.Hour + time.Minute)
		s.advance()
		mustPut(t, s, Accepted, check("nightly", "backup", ok, 0))
		got := lines(s, TransitionQuery{})[before:]
		slices.Sort(got)
		want := []string{
			"dies/ UNKNOWN->MISSING: missing: no report for 1h11m0s (ttl 1h0m0s)",
			"ends/ RUNNING->STOPPED: reported",
			"lives/ RUNNING->UNKNOWN: no report for 1h1m0s (interval 10s)",
			"lives/ UNKNOWN->RUNNING: reported",
			"nightly/backup UNKNOWN->OK: reported",
		}
		got = slices.DeleteFunc(got, func(line string) bool {
			return strings.HasPrefix(line, "old/") || strings.HasPrefix(line, "lives/ UNKNOWN->MISSING")
		})
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestInventoryWithoutASnapshotIsEnough to miss every node.
func TestInventoryWithoutASnapshotIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journal{}
		s := New(Config{Inventory: true})
		for range 2 {
			for n := range 2 * maxNodeChanges {
				mustPut(t, s, Accepted, check(fmt.Sprint("n", n), "ping", ok, 0))
			}
			time.Sleep(5 * time.Second)
		}
		j.take(s)
		s = New(Config{Inventory: true})
		s.Resume(time.Minute)
		j.tell(t, s)
		time.Sleep(2 * time.Hour)
		if c := s.Counters(); c.MissingChecks != 2*maxNodeChanges || c.Transitions != 2*maxNodeChanges {
			t.Errorf("got %+v", c)
		}
	})
}

// TestBadRecordsOfNodesAreRefused and change nothing.
func TestBadRecordsOfNodesAreRefused(t *testing.T) {
	source := still(Config{})
	mustPut(t, source, Accepted, status("n", running, 0), check("n", "ping", ok, 0))
	records := snapshot(t, source)
	for name, data := range map[string][]byte{
		"empty": nil, "transitions": records[0], "two entries": records[1], "cut": records[1][:len(records[1])-3], "no entry": records[1][:12],
	} {
		s := still(Config{})
		if err := s.ExpectNode(SnapshotVersion, data); err == nil || s.entries() != 0 {
			t.Errorf("%s: %v, %d entries", name, err, s.entries())
		}
	}
	if err := New(Config{}).ExpectNode(SnapshotVersion+1, records[1]); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("a newer version: %v", err)
	}
}
