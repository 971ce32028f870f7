package state_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
)

const stateDir = "/state"

func kinds() []state.Kind {
	return []state.Kind{{Name: "a", Version: 1}, {Name: "b", Version: 2}, {Name: "node", Version: 1, UntilSnapshot: true}}
}

// openJournal opens a journal that is neither damaged nor newer.
func openJournal(t testing.TB, d state.Disk, covered state.Mark) *state.Journal {
	t.Helper()
	j, err := state.OpenJournal(d, stateDir, kinds(), covered)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// entriesOf returns what a journal holds, by kind and key.
func entriesOf(j *state.Journal) map[string]string {
	all := make(map[string]string)
	for _, k := range kinds() {
		for _, e := range j.Records(k.Name) {
			all[fmt.Sprintf("%s/%d %s", e.Kind, e.Version, e.Key)] = string(e.Data)
		}
	}
	return all
}

func set(t testing.TB, j *state.Journal, entries ...state.Entry) {
	t.Helper()
	if err := j.Set(entries...); err != nil {
		t.Fatal(err)
	}
}

func TestJournalHoldsTheLastValueOfEachKey(t *testing.T) {
	d := testkit.NewMemDisk()
	j := openJournal(t, d, state.Mark{})
	odd := "a key\nwith: \x00 \x1b all"
	set(t, j, state.Entry{Kind: "a", Key: "1", Data: []byte("first")}, state.Entry{Kind: "b", Key: "1", Data: []byte("\n\x1b\x00n")})
	set(t, j, state.Entry{Kind: "a", Key: odd, Data: []byte("x")}, state.Entry{Kind: "a", Key: "gone", Data: []byte("x")})
	set(t, j, state.Entry{Kind: "a", Key: "1", Data: []byte("second")}, state.Entry{Kind: "a", Key: "gone"})
	want := map[string]string{"a/1 1": "second", "b/2 1": "\n\x1b\x00n", "a/1 " + odd: "x"}
	for range 3 {
		if got := entriesOf(j); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		j = openJournal(t, d, state.Mark{})
	}
	if order := j.Records("a"); order[0].Key != odd || order[1].Key != "1" {
		t.Errorf("in the order %+v", order)
	}
	if err := j.Set(state.Entry{Kind: "c", Key: "1", Data: []byte("x")}); err == nil {
		t.Error("a record of an unknown kind is written")
	}
	if err := errors.Join(j.Close(), j.Set(state.Entry{Kind: "a", Key: "1"})); err == nil {
		t.Error("a closed journal is written")
	}
}

// TestChangesShareTheirSyncs makes changes from 64 goroutines on a slow disk.
func TestChangesShareTheirSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewMemDisk()
		j := openJournal(t, d, state.Mark{})
		d.Set(nil, 10*time.Millisecond)
		before, began := d.Synced(), time.Now()
		var wait sync.WaitGroup
		for i := range 64 {
			wait.Go(func() {
				for n := range 10 {
					if err := j.Set(entry(fmt.Sprint(i), fmt.Sprint(n))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		if n := d.Synced() - before; n > 25 || time.Since(began) > 250*time.Millisecond {
			t.Errorf("%d syncs in %v for 640 changes", n, time.Since(began))
		}
		j = openJournal(t, d.Killed(), state.Mark{})
		for i := range 64 {
			if got := entriesOf(j)[fmt.Sprint("a/1 ", i)]; got != "9" {
				t.Fatalf("%d is at %q", i, got)
			}
		}
	})
}

// TestJournalDoesNotGrow replaces one entry again and again.
func TestJournalDoesNotGrow(t *testing.T) {
	d := testkit.NewMemDisk()
	j := openJournal(t, d, state.Mark{})
	j.SetSlack(1000)
	data := strings.Repeat("x", 100)
	for range 1000 {
		set(t, j, entry("1", data), entry("2", data), entry("3", data), entry("3", ""))
		if n := len(read(t, d, "/journal")); n > 5000 {
			t.Fatalf("the journal has %d bytes", n)
		}
	}
	if err := j.Set(entry("1", strings.Repeat("x", 4<<20))); err == nil {
		t.Error("a record is written that is too large to be read")
	}
}

// TestFailureEndsByItself fills the disk and frees it. No change is needed for the
// journal to be written again.
// Faults: T20, T24.
func TestFailureEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewMemDisk()
		j := openJournal(t, d, state.Mark{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- j.Run(ctx) }()
		d.Set(errFull, 0)
		if err := j.Set(entry("1", "x")); !errors.Is(err, errFull) || j.Health().OK || !strings.Contains(j.Health().Reason, "writing \"/state/journal\": disk full") {
			t.Errorf("got %v, %+v", err, j.Health())
		}
		time.Sleep(10 * time.Second)
		if j.Health().OK {
			t.Error("the disk is full, and all is well")
		}
		d.Set(nil, time.Second)
		time.Sleep(10 * time.Second)
		if h := j.Health(); !h.OK || len(entriesOf(openJournal(t, d, state.Mark{}))) > 0 {
			t.Errorf("health %+v", h)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestSnapshotReleasesWhatItHolds writes entries that are retained until a snapshot is
// on the disk.
func TestSnapshotReleasesWhatItHolds(t *testing.T) {
	d := testkit.NewMemDisk()
	j := openJournal(t, d, state.Mark{})
	node := func(key string) state.Entry { return state.Entry{Kind: "node", Key: key, Data: []byte("x")} }
	reopen := func() string {
		t.Helper()
		killed := d.Killed()
		keys := ""
		for _, e := range openJournal(t, killed, openSnapshot(killed, nil).Mark()).Records("node") {
			keys += e.Key
		}
		return keys
	}
	set(t, j, node("a"), entry("1", "stays"))
	s := openSnapshot(d, nil)
	during := state.Section{Kind: "number", Version: 2, Write: func(func([]byte) error) error {
		set(t, j, node("b")) // perhaps too late for the snapshot
		return nil
	}}
	d.FailAt = d.Steps + 5 // of the snapshot: the change takes three
	if err := s.Write(t.Context(), j, []state.Section{during}); err == nil || reopen() != "ab" {
		t.Errorf("after a snapshot that failed (%v) there are %q", err, reopen())
	}
	if err := s.Write(t.Context(), j, []state.Section{during}); err != nil || reopen() != "b" || len(j.Records("node")) != 1 {
		t.Errorf("%v: after a snapshot there are %q", err, reopen())
	}
	set(t, j, node("c"))
	if got := reopen(); got != "bc" {
		t.Errorf("then there are %q", got)
	}
	j = openJournal(t, d, s.Mark())
	if s = openSnapshot(d, nil); writeNumber(s, j, 1) != nil || reopen() != "" || len(j.Records("a")) != 1 {
		t.Errorf("in the end there are %q", reopen())
	}
}

// BenchmarkAppend measures changes that are acknowledged one by one, on the disk of
// temporary files.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			j, err := state.OpenJournal(state.OSDisk{}, b.TempDir(), kinds(), state.Mark{})
			if err != nil {
				b.Fatal(err)
			}
			var next atomic.Int64
			var wait sync.WaitGroup
			data := strings.Repeat("x", 100)
			b.ReportAllocs()
			b.ResetTimer()
			for range writers {
				wait.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						set(b, j, entry(fmt.Sprint(n%10_000), data))
					}
				})
			}
			wait.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
			if err := j.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
