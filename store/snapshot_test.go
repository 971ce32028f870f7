package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/internal/testkit"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// snapshot returns the records of a store.
func snapshot(t testing.TB, s *Store) (records [][]byte) {
	t.Helper()
	if err := s.WriteSnapshot(func(record []byte) error {
		records = append(records, bytes.Clone(record))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return records
}

// reborn returns a new store that is restored from records.
func reborn(t testing.TB, cfg Config, records [][]byte, down time.Duration) *Store {
	t.Helper()
	s := New(cfg)
	for _, record := range records {
		if err := s.ReadSnapshot(SnapshotVersion, record); err != nil {
			t.Fatal(err)
		}
	}
	s.Resume(down)
	return s
}

// view is all that a store answers.
type view struct {
	Checks      []Check
	Nodes, Sums []NodeStatus
	Stats       []NodeStats
	Services    []Version
	History     []Transition
}

func viewOf(t testing.TB, s *Store) (v view) {
	t.Helper()
	q := Query{Missing: true}
	v.Checks, v.Nodes, v.Sums = all(t, s.Checks, q), all(t, s.Nodes, q), all(t, s.Summary, q)
	v.Stats, v.Services = all(t, s.Stats, q), all(t, s.Services, q)
	v.History, _, _ = s.After(TransitionQuery{Limit: MaxLimit}, 0)
	return v
}

// older adds to the ages.
func (v view) older(by time.Duration) view {
	v.Checks, v.Stats = slices.Clone(v.Checks), slices.Clone(v.Stats)
	for i := range v.Checks {
		v.Checks[i].Age += by
	}
	for i := range v.Stats {
		v.Stats[i].Age += by
	}
	return v
}

func wantView(t *testing.T, s *Store, want view) {
	t.Helper()
	if diff := cmp.Diff(want, viewOf(t, s), cmp.AllowUnexported(Check{}, NodeStatus{}, NodeStats{}, Node{})); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

// answerable makes all answers, which must be sound, and returns their length.
func answerable(t *testing.T, s *Store) (size int) {
	t.Helper()
	v := viewOf(t, s)
	for _, c := range v.Checks {
		wire := c.AppendWire(nil)
		if err := proto.Unmarshal(wire, &healthpb.HealthCheck{}); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if text := c.AppendJSON(nil); !json.Valid(text) {
			t.Fatalf("%+v becomes %s", c, text)
		}
		size += len(wire)
	}
	for _, n := range append(v.Nodes, v.Sums...) {
		size += proto.Size(n.Proto())
	}
	for _, n := range v.Stats {
		size += proto.Size(n.Proto())
	}
	for _, x := range v.Services {
		size += proto.Size(x.Proto())
	}
	return size + len(v.History)
}

// every puts an entry of each kind and state into a store, within three hours.
func every(t testing.TB, s *Store) {
	t.Helper()
	mustPut(t, s, Accepted, check("gone", "ping", failing, 0), stats("gone", 0), status("gone", running, 0))
	mustPut(t, s, Accepted, status("retired", isStopped, 0), check("retired", "ping", ok, 0))
	s.Believe("b", "nightly", true)
	ev := check("nightly", "backup", ok, 0).of("b", "2")
	ev.Interval, ev.TTL = 86400, 2*86400
	ev.Metadata = []byte("\x1a\x08\x0a\x03dat\x12\x01x")
	mustPut(t, s, Accepted, ev)
	time.Sleep(3*time.Hour - time.Minute)
	mustPut(t, s, Accepted, check("quiet", "ping", warning, 0).saying("slow"), status("quiet", started, 0))
	mustPut(t, s, Accepted, check("off", "ping", failing, 0), stats("off", 0), status("off", isStopped, 0))
	time.Sleep(time.Minute)
	ev = check("n", "ping", ok, 0)
	ev.Address, ev.Body = []byte("10.0.0.1:80"), []byte("\x42\x08\x0a\x03foo\x12\x01x")
	old := check("n", "old", ok, time.Now().Unix()-1000)
	mustPut(t, s, Accepted, ev, old, check("n", "db", failing, 0).saying("refused"), status("n", running, 0), stats("n", 0))
	time.Sleep(5 * time.Second)
}

// TestARestartChangesNothing but the ages, which include the time between.
func TestARestartChangesNothing(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Store) {
		every(t, s)
		records, before, counted := snapshot(t, s), viewOf(t, s), s.Counters()
		for name, states := range map[string]int{
			"missing": counted.MissingChecks, "checks": counted.Checks, "statuses": counted.Statuses, "stats": counted.Stats, "transitions": len(before.History),
		} {
			if states == 0 {
				t.Fatalf("there are no %s to restore", name)
			}
		}
		const down = 7 * time.Minute
		time.Sleep(down)
		second := reborn(t, Config{}, records, down)
		wantView(t, second, before.older(down))
		third := reborn(t, Config{}, snapshot(t, second), 0)
		wantView(t, third, before.older(down))
		got := third.Counters()
		counted.Accepted, counted.Transitions, counted.Skewed = 0, 0, 0 // since the start
		if got != counted {
			t.Errorf("counters %+v, want %+v", got, counted)
		}
	})
}

// TestSnapshotsHaveSmallSteps, between which the lock is released: a node with many checks
// takes several records, and each stands for itself.
// Faults: T25.
func TestSnapshotsHaveSmallSteps(t *testing.T) {
	s := still(roomy())
	newFleet(3, 1000).fill(s)
	records := snapshot(t, s)
	slices.Reverse(records)
	nodes := records[:len(records)-slices.IndexFunc(records, func(r []byte) bool { return r[0] != recordNode })]
	if len(records) < 3*1000/maxStep || len(nodes) == len(records) {
		t.Fatalf("%d records", len(records))
	}
	for _, record := range records {
		if len(record) > maxStepBytes+1024 {
			t.Errorf("a record of %d bytes", len(record))
		}
	}
	records = slices.DeleteFunc(records, func(r []byte) bool { return r[0] != recordNode })
	records = append(records, records[0])
	if c := reborn(t, roomy(), records, 0).Counters(); c.Checks != 3000 || c.Nodes != 3 {
		t.Errorf("restored are %+v", c)
	}
}

// TestSnapshotOfABusyStore takes snapshots while all changes.
func TestSnapshotOfABusyStore(t *testing.T) {
	s := New(roomy())
	f := newFleet(300, 10)
	f.fill(s)
	done := make(chan struct{})
	wait := testkit.Go(2, func(seed int) {
		var ev Event
		for i := seed; ; i += 7 {
			select {
			case <-done:
				return
			default:
			}
			f.set(&ev, i%f.size(), i)
			ev.Status = int32(1 + i%3)
			if s.Put(&ev); i%11 == 0 {
				s.Forget(&ev)
			}
		}
	})
	for range testkit.Fewer(30, 3) {
		restored := reborn(t, roomy(), snapshot(t, s), time.Second)
		if c := restored.Counters(); c.Nodes < 200 {
			t.Errorf("restored are %+v", c)
		}
	}
	close(done)
	wait()
}

// TestWriterThatFailsEndsTheSnapshot, at any record.
func TestWriterThatFailsEndsTheSnapshot(t *testing.T) {
	s := still(Config{})
	flip(t, s, "n", 200)
	full := errors.New("disk full")
	for at := range snapshot(t, s) {
		calls := 0
		err := s.WriteSnapshot(func([]byte) error {
			if calls++; calls > at {
				return full
			}
			return nil
		})
		if !errors.Is(err, full) || calls != at+1 {
			t.Errorf("record %d: %v after %d calls", at, err, calls)
		}
	}
}

// TestCapsHoldForWhatIsRestored: they may have become smaller.
func TestCapsHoldForWhatIsRestored(t *testing.T) {
	s := still(roomy())
	for n := range 20 {
		for i := range 5 {
			mustPut(t, s, Accepted, check(fmt.Sprint("n", n), fmt.Sprint("check-", i), ok, 0).of(fmt.Sprint("s", n%4), "1").saying("x"))
		}
	}
	records := snapshot(t, s)
	for name, tc := range map[string]struct {
		cfg  Config
		held int
	}{
		"entries": {Config{MaxEntries: 30, Share: 1}, 30}, "nodes": {Config{MaxNodes: 7, Share: 1}, 35}, "checks": {Config{MaxChecksPerNode: 2}, 40},
		"services": {Config{MaxServices: 1, Share: 1}, 25}, "bytes": {Config{MaxBytes: 16 * 10}, 10}, "share": {Config{MaxEntries: 100}, 90},
	} {
		small := New(tc.cfg)
		refused := 0
		for _, record := range records {
			if err := small.ReadSnapshot(SnapshotVersion, record); err != nil {
				refused++
			}
		}
		small.Resume(0)
		if c := small.Counters(); c.Checks != tc.held || refused == 0 || c.Refused == 0 {
			t.Errorf("%s: %d records with errors, %+v, want %d", name, refused, c, tc.held)
		}
		if len(small.Refusals()) == 0 {
			t.Errorf("%s: nobody is named as refused", name)
		}
	}
}

// TestRecordsThatAreCutAreRefusedAsAWhole, and those of another version.
func TestRecordsThatAreCutAreRefusedAsAWhole(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Store) {
		every(t, s)
		for _, record := range snapshot(t, s) {
			for cut := range record {
				empty := New(Config{Transitions: 100})
				if err := empty.ReadSnapshot(SnapshotVersion, record[:cut]); err == nil && cut > 0 {
					continue // it ends with a whole entry
				} else if err == nil {
					t.Fatal("no record is one")
				}
				if c := empty.Counters(); c.Nodes != 0 || c.Bytes != 0 {
					t.Fatalf("%d bytes of %x left %+v", cut, record, c)
				}
			}
			testkit.WantError(t, New(Config{}).ReadSnapshot(SnapshotVersion+1, record), "version 2, want 1")
		}
	})
}

// TestANightlyCheckTakesFewBytes in a snapshot.
func TestANightlyCheckTakesFewBytes(t *testing.T) {
	s := still(roomy())
	for n := range 1000 {
		ev := check(fmt.Sprintf("go.micro.srv.backup-%036d", n), "go.micro.healthcheck.backup", ok, 1_790_000_000)
		ev.Interval, ev.TTL = 86400, 2*86400
		mustPut(t, s, Accepted, ev.saying("nothing to do"))
	}
	size := 0
	for _, record := range snapshot(t, s) {
		if record[0] == recordNode {
			size += len(record)
		}
	}
	t.Logf("%d bytes each", size/1000)
	if size/1000 > 250 {
		t.Errorf("a check takes %d bytes, want at most 250", size/1000)
	}
}
