package state_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
)

// numbers is a room whose snapshot says which number it had, in as many records.
type numbers struct {
	number int
	read   []int
}

func (n *numbers) section() state.Section {
	return state.Section{
		Kind: "number", Version: 2,
		Write: func(add func([]byte) error) error {
			for range n.number {
				if err := add(fmt.Append(nil, n.number, "\n\x1b\x00")); err != nil {
					return err
				}
			}
			return nil
		},
		Read: func(version int, data []byte) error {
			text, ok := strings.CutSuffix(string(data), "\n\x1b\x00")
			number, err := strconv.Atoi(text)
			if err != nil || !ok || version != 2 {
				return fmt.Errorf("version %d of %q", version, data)
			}
			n.read = append(n.read, number)
			return nil
		},
	}
}

// whole returns the number of the snapshot that was read, 0 if there was none. It fails
// the test unless all of it was read.
func (n *numbers) whole(t *testing.T) int {
	t.Helper()
	if len(n.read) == 0 {
		return 0
	}
	for _, number := range n.read {
		if number != len(n.read) {
			t.Fatalf("read %v", n.read)
		}
	}
	return n.read[0]
}

func openSnapshot(d state.Disk, now func() state.Moment) *state.Snapshot {
	return state.OpenSnapshot(state.SnapshotConfig{Disk: d, Dir: stateDir, Log: testkit.QuietLog(), Now: now})
}

// load reads the snapshot of a disk.
func load(d state.Disk) (*numbers, state.Restored) {
	n := &numbers{}
	return n, openSnapshot(d, nil).Load([]state.Section{n.section()})
}

func writeNumber(s *state.Snapshot, j *state.Journal, number int) error {
	n := &numbers{number: number}
	return s.Write(context.Background(), j, []state.Section{n.section()})
}

func TestNewestSnapshotIsRead(t *testing.T) {
	d := testkit.NewMemDisk()
	j := openJournal(t, d, state.Mark{})
	for number := range 5 {
		s := openSnapshot(d, nil)
		for _, n := range []int{number + 100, number + 1} {
			if err := writeNumber(s, j, n); err != nil {
				t.Fatal(err)
			}
		}
		if n, restored := load(d); n.whole(t) != number+1 || restored.Records != number+1 || restored.Rejected != 0 {
			t.Errorf("read %v, %+v, want %d", n.read, restored, number+1)
		}
	}
	if _, files := d.Counts(); files != 3 {
		t.Errorf("there are %d files", files)
	}
}

// TestPowerFailureLosesAtMostTheLastSnapshot cuts the power at a random step. What is
// read is the last snapshot that was finished or the one being written, as a whole.
// Faults: T22, T23.
func TestPowerFailureLosesAtMostTheLastSnapshot(t *testing.T) {
	for seed := range testkit.Fewer(2000, 200) {
		random := rand.New(rand.NewPCG(uint64(seed), 7))
		d := testkit.NewMemDisk()
		j := openJournal(t, d, state.Mark{})
		s := openSnapshot(d, nil)
		d.CutAt = d.Steps + 1 + random.IntN(60)
		begun, done := 0, 0
		for d.Steps < d.CutAt {
			begun++
			if writeNumber(s, j, begun) == nil {
				done = begun
			}
		}
		for _, after := range []*testkit.MemDisk{d.LostPower(random), d.Killed()} {
			n, _ := load(after)
			if got := n.whole(t); got < done || got > begun {
				t.Fatalf("seed %d: read %d, want %d to %d", seed, got, done, begun)
			}
			if _, err := after.ReadFile(stateDir + "/snapshot.new"); err == nil {
				t.Fatalf("seed %d: an incomplete file is left", seed)
			}
		}
	}
}

// TestDamagedSnapshotFallsBackToTheOneBefore damages the newest snapshot, and then both.
// Faults: T21.
func TestDamagedSnapshotFallsBackToTheOneBefore(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range testkit.Fewer(500, 100) {
		d := testkit.NewMemDisk()
		j := openJournal(t, d, state.Mark{})
		s := openSnapshot(d, nil)
		if err := errors.Join(writeNumber(s, j, 4), writeNumber(s, j, 5)); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		for i, name := range []string{"/snapshot-1", "/snapshot-2"} { // the second is the older
			whole, err := d.ReadFile(stateDir + name)
			if err != nil {
				t.Fatal(err)
			}
			what, text := testkit.Corrupt(random, whole)
			if strings.TrimSuffix(string(text), "\n") == strings.TrimSuffix(string(whole), "\n") {
				break // nothing is lost
			}
			d.Put(stateDir+name, text)
			n := &numbers{}
			state.OpenSnapshot(state.SnapshotConfig{Disk: d, Dir: stateDir, Log: testkit.InfoTo(&log)}).Load([]state.Section{n.section()})
			if got := n.part(); i == 0 && got != 4 || i == 1 && got < 0 {
				t.Fatalf("%s: %s: read %v", name, what, n.read)
			}
			if aside, err := d.ReadFile(stateDir + name + ".corrupt-1"); err != nil || string(aside) != string(text) || !strings.Contains(log.String(), "level=ERROR") {
				t.Fatalf("%s: %s: set aside %q, %v, logged %s", name, what, aside, err, &log)
			}
		}
		if err := writeNumber(openSnapshot(d, nil), j, 6); err != nil {
			t.Fatal(err)
		}
		if n, _ := load(d); n.whole(t) != 6 {
			t.Fatalf("read %v after the next snapshot", n.read)
		}
	}
}

// part returns the number of the snapshot of which records were read, 0 if there is
// none, and -1 if they are those of several or more than there were.
func (n *numbers) part() int {
	for _, number := range n.read {
		if number != n.read[0] || len(n.read) > number {
			return -1
		}
	}
	if len(n.read) == 0 {
		return 0
	}
	return n.read[0]
}

// TestNewerSnapshotIsLeftAlone loads files with records that only a newer program knows.
// Faults: S8.
func TestNewerSnapshotIsLeftAlone(t *testing.T) {
	for _, newer := range []state.Section{{Kind: "number", Version: 3}, {Kind: "incident", Version: 1}} {
		synctest.Test(t, func(t *testing.T) {
			d := testkit.NewMemDisk()
			j := openJournal(t, d, state.Mark{})
			newer.Write = func(add func([]byte) error) error { return add([]byte("x")) }
			if err := openSnapshot(d, nil).Write(t.Context(), j, []state.Section{newer}); err != nil {
				t.Fatal(err)
			}
			before, err := d.ReadFile(stateDir + "/snapshot-2")
			if err != nil {
				t.Fatal(err)
			}
			n := &numbers{number: 1}
			s := openSnapshot(d, nil)
			s.Load([]state.Section{n.section()})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := s.Run(ctx, j, []state.Section{n.section()}); err != nil {
				t.Error(err)
			}
			if after, err := d.ReadFile(stateDir + "/snapshot-2"); err != nil || string(after) != string(before) || len(n.read) > 0 {
				t.Errorf("read %v, left %q, %v", n.read, after, err)
			}
			if h := s.Health(); h.OK || !strings.Contains(h.Reason, "a newer monitor-srv has written it") {
				t.Errorf("health %+v", h)
			}
		})
	}
}

// TestDownTimeIsThatOfTheBoot restores snapshots at several moments.
func TestDownTimeIsThatOfTheBoot(t *testing.T) {
	at := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	begun := state.Moment{Boot: "one", SinceBoot: time.Hour, Wall: at}
	for name, c := range map[string]struct {
		now  state.Moment
		want time.Duration
	}{
		"the same boot":                   {state.Moment{Boot: "one", SinceBoot: time.Hour + time.Minute, Wall: at.Add(time.Minute)}, time.Minute},
		"the clock was set back an hour":  {state.Moment{Boot: "one", SinceBoot: time.Hour + time.Minute, Wall: at.Add(-time.Hour)}, time.Minute},
		"the clock was set forward":       {state.Moment{Boot: "one", SinceBoot: time.Hour + time.Minute, Wall: at.Add(9 * time.Hour)}, time.Minute},
		"another boot":                    {state.Moment{Boot: "two", SinceBoot: time.Minute, Wall: at.Add(5 * time.Minute)}, 5 * time.Minute},
		"another boot, and set back":      {state.Moment{Boot: "two", SinceBoot: time.Minute, Wall: at.Add(-time.Hour)}, 0},
		"another boot, and years forward": {state.Moment{Boot: "two", SinceBoot: time.Minute, Wall: at.AddDate(3, 0, 0)}, 30 * 24 * time.Hour},
		"a boot that is not known":        {state.Moment{SinceBoot: 0, Wall: at.Add(time.Second)}, time.Second},
	} {
		d := testkit.NewMemDisk()
		j := openJournal(t, d, state.Mark{})
		if err := writeNumber(openSnapshot(d, func() state.Moment { return begun }), j, 1); err != nil {
			t.Fatal(err)
		}
		if got := openSnapshot(d, func() state.Moment { return c.now }).Load([]state.Section{(&numbers{}).section()}); got.Down != c.want {
			t.Errorf("%s: down for %v, want %v", name, got.Down, c.want)
		}
	}
	first := state.Now()
	if d := state.Now().Since(first); d < 0 || d > time.Minute || first.Boot == "" {
		t.Errorf("%v since %+v", d, first)
	}
}

// TestSnapshotsAreWrittenEveryTenSeconds runs a snapshot on a disk that fills up.
// Faults: T20.
func TestSnapshotsAreWrittenEveryTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewMemDisk()
		j := openJournal(t, d, state.Mark{})
		n := &numbers{number: 1}
		var log testkit.LogBuffer
		s := state.OpenSnapshot(state.SnapshotConfig{Disk: d, Dir: stateDir, Log: testkit.InfoTo(&log)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx, j, []state.Section{n.section()}) }()
		time.Sleep(time.Minute)
		if n := d.Synced(); n < 5 || n > 7 {
			t.Errorf("%d syncs in a minute", n)
		}
		d.Set(errFull, 0)
		time.Sleep(time.Hour)
		if h := s.Health(); h.OK || !strings.Contains(h.Reason, "writing a snapshot: disk full") {
			t.Errorf("health %+v", h)
		}
		if lines := strings.Count(log.String(), "writing a snapshot failed"); lines < 1 || lines > 7 {
			t.Errorf("%d lines in an hour", lines)
		}
		d.Set(nil, 0)
		time.Sleep(2 * time.Minute)
		if h := s.Health(); !h.OK {
			t.Errorf("health %+v", h)
		}
		synctest.Wait()
		n.number = 2
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n, _ := load(d); n.whole(t) != 2 {
			t.Errorf("the last one holds %v", n.read)
		}
	})
}

var errFull = errors.New("disk full")
