package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
)

// entry returns an entry of kind a, or of b if its key is not a digit.
func entry(key, data string) state.Entry {
	kind := "a"
	if key[0] > '9' {
		kind = "b"
	}
	return state.Entry{Kind: kind, Key: key, Data: []byte(data)}
}

// directory returns a disk with a journal and two snapshots, what the journal holds, and
// every value that it ever held.
func directory(t testing.TB) (d *testkit.MemDisk, want map[string]string, ever map[string]bool) {
	t.Helper()
	d, ever = testkit.NewMemDisk(), make(map[string]bool)
	j := openJournal(t, d, state.Mark{})
	s := openSnapshot(d, nil)
	for n, entries := range [][]state.Entry{
		{entry("1", "one"), entry("2", "two"), entry("x", "a line\n\x1b\x00")},
		{entry("3", "three"), entry("1", "one again"), entry("gone", "not for long")},
		{entry("gone", ""), entry("4", "0badc0de 20 j1/1 a/1 1:1forged\n0badc0de 20 j1/1 a/1 1:1forged")},
		{entry("2", ""), entry("1", "one at last"), entry("5", strings.Repeat("long ", 100))},
	} {
		set(t, j, entries...)
		for id, value := range entriesOf(j) {
			ever[id+"="+value] = true
		}
		if err := writeNumber(s, j, n+5); err != nil {
			t.Fatal(err)
		}
	}
	return d, entriesOf(j), ever
}

func read(t testing.TB, d *testkit.MemDisk, name string) []byte {
	t.Helper()
	if text, err := d.ReadFile(stateDir + name); err == nil {
		return text
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// TestFlippedBitLosesOneRecord flips every bit of a journal: one entry is lost at most,
// and none comes back that was replaced or removed.
// Faults: S8.
func TestFlippedBitLosesOneRecord(t *testing.T) {
	sample, want, _ := directory(t)
	whole := read(t, sample, "/journal")
	for what, text := range testkit.Damaged(whole) {
		if !strings.HasPrefix(what, testkit.FlippedBit) {
			continue
		}
		d := testkit.NewMemDisk()
		d.Put(stateDir+"/journal", text)
		j, err := state.OpenJournal(d, stateDir, kinds(), state.Mark{})
		var damaged *state.DamagedError
		if !errors.As(err, &damaged) && string(text[:len(text)-1]) != string(whole[:len(whole)-1]) {
			t.Fatalf("%s: %v", what, err)
		}
		got := entriesOf(j)
		for id, value := range got {
			if want[id] != value {
				t.Fatalf("%s: %s is %q, want %q", what, id, value, want[id])
			}
		}
		if len(got) < len(want)-1 {
			t.Fatalf("%s: %d of %d entries are left", what, len(got), len(want))
		}
		if lost := len(got) < len(want); lost && !strings.Contains(err.Error(), "1 of 12 records are lost") && !strings.Contains(err.Error(), "the first 11 records are sound") {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// corruptFile damages one file of a directory at random, or mixes it with another one.
func corruptFile(random *rand.Rand, path string, files map[string][]byte) (what string, text []byte) {
	whole := files[path]
	if random.IntN(4) > 0 {
		return testkit.Corrupt(random, whole)
	}
	others := make([][]byte, 0, len(files))
	for _, other := range []string{"/journal", "/snapshot-1", "/snapshot-2", "/older"} {
		if stateDir+other != path {
			others = append(others, files[stateDir+other])
		}
	}
	other := others[random.IntN(len(others))]
	switch from, at := random.IntN(len(other)), random.IntN(len(whole)); random.IntN(4) {
	case 0:
		return "replaced by another file", bytes.Clone(other)
	case 1:
		return "another file is appended", append(bytes.Clone(whole), other...)
	case 2:
		return "another file precedes it", append(bytes.Clone(other), whole...)
	default:
		return "a part is that of another file", append(bytes.Clone(whole[:at]), other[from:]...)
	}
}

// TestDamagedDirectoriesStart damages each file of the state directory 500 times. Each
// start succeeds at once and believes nothing that was not written. What is lost is
// counted, the damaged file is set aside, and the next start finds all in order.
// Faults: T21, S8.
func TestDamagedDirectoriesStart(t *testing.T) {
	d, want, ever := directory(t)
	files := make(map[string][]byte)
	for _, name := range []string{"/journal", "/snapshot-1", "/snapshot-2"} {
		files[stateDir+name] = read(t, d, name)
	}
	again := d.Killed()
	openJournal(t, again, state.Mark{})
	files[stateDir+"/older"] = files[stateDir+"/journal"]
	files[stateDir+"/journal"] = read(t, again, "/journal")
	random := rand.New(rand.NewPCG(7, 8))
	for _, name := range []string{"/journal", "/snapshot-1", "/snapshot-2"} {
		for range testkit.Fewer(500, 100) {
			what, text := corruptFile(random, stateDir+name, files)
			what = name + ": " + what
			d := testkit.NewMemDisk()
			for path, whole := range files {
				d.Put(path, whole)
			}
			d.Put(stateDir+name, text)
			began := time.Now()
			var log strings.Builder
			s := state.OpenSnapshot(state.SnapshotConfig{Disk: d, Dir: stateDir, Log: testkit.InfoTo(&log)})
			j, err := state.OpenJournal(d, stateDir, kinds(), s.Mark())
			if j == nil || time.Since(began) > 5*time.Second {
				t.Fatalf("%s: %v", what, err)
			}
			got := entriesOf(j)
			for id, value := range got {
				if !ever[id+"="+value] {
					t.Fatalf("%s: believes that %s is %q", what, id, value)
				}
			}
			n := &numbers{}
			s.Load([]state.Section{n.section()})
			if part := n.part(); part < 7 && part != 0 || part == 0 && name == "/journal" {
				t.Fatalf("%s: the snapshot holds %v", what, n.read)
			}
			if told := err != nil || strings.Contains(log.String(), "is damaged"); !maps.Equal(got, want) && name == "/journal" && !told && bytes.HasSuffix(text, []byte("\n")) {
				t.Fatalf("%s: nothing says that something is lost: %v of %v", what, got, want)
			} else if _, missing := d.ReadFile(stateDir + name + ".corrupt-1"); told && missing != nil {
				t.Fatalf("%s: not set aside", what)
			}
			s = openSnapshot(d, nil)
			if j, err := state.OpenJournal(d, stateDir, kinds(), s.Mark()); err != nil || !maps.Equal(entriesOf(j), got) {
				t.Fatalf("%s: then read %v, %v, want %v", what, entriesOf(j), err, got)
			}
		}
	}
}

// TestJournalThatEndsTooEarlyIsReported cuts the journal between two records. Only the
// snapshot knows that there was more.
// Faults: T21.
func TestJournalThatEndsTooEarlyIsReported(t *testing.T) {
	d, _, _ := directory(t)
	lines := bytes.SplitAfter(read(t, d, "/journal"), []byte("\n"))
	d.Put(stateDir+"/journal", bytes.Join(lines[:4], nil))
	_, err := state.OpenJournal(d, stateDir, kinds(), openSnapshot(d, nil).Mark())
	if err == nil || !strings.Contains(err.Error(), "8 of 12 records are lost") {
		t.Errorf("got %v", err)
	}
}

// TestUnfinishedEndIsNoDamage cuts the journal in its last record, or fills that with
// zeros: nobody was told that it is written.
// Faults: T22, T23.
func TestUnfinishedEndIsNoDamage(t *testing.T) {
	d := testkit.NewMemDisk()
	j := openJournal(t, d, state.Mark{})
	set(t, j, entry("1", "one"))
	first := read(t, d, "/journal")
	set(t, j, entry("2", "two"))
	whole := read(t, d, "/journal")
	for n := len(first); n < len(whole); n++ {
		for _, zeros := range []int{0, 1, 600, 1 << 20} {
			d.Put(stateDir+"/journal", append(bytes.Clone(whole[:n]), make([]byte, zeros)...))
			if j := openJournal(t, d, state.Mark{}); entriesOf(j)["a/1 1"] != "one" {
				t.Fatalf("cut at %d, %d zeros: %v", n, zeros, entriesOf(j))
			}
		}
	}
}

// TestNewerRecordsAreLeftAlone opens journals that a newer program has written.
// Faults: S8.
func TestNewerRecordsAreLeftAlone(t *testing.T) {
	for what, newer := range map[string][]state.Kind{
		"a newer record":    {{Name: "a", Version: 2}},
		"an unknown record": {{Name: "silence", Version: 1}},
	} {
		d := testkit.NewMemDisk()
		j, err := state.OpenJournal(d, stateDir, newer, state.Mark{})
		if err == nil {
			err = j.Set(state.Entry{Kind: newer[0].Name, Key: "1", Data: []byte("x")})
		}
		if err != nil {
			t.Fatal(err)
		}
		before := read(t, d, "/journal")
		j, err = state.OpenJournal(d, stateDir, kinds(), state.Mark{})
		for _, err := range []error{err, j.Refused(), j.Set(entry("1", "x")), j.Sync()} {
			if !errors.As(err, new(*state.NewerError)) || !strings.Contains(err.Error(), "a newer monitor-srv has written it") {
				t.Errorf("%s: got %v", what, err)
			}
		}
		if after := read(t, d, "/journal"); !bytes.Equal(before, after) || j.Health().OK {
			t.Errorf("%s: the file holds %q, %+v", what, after, j.Health())
		}
	}
}

// TestUnreadableFilesAreNoStart opens directories without a disk to write on, and with a
// directory in the place of the journal.
func TestUnreadableFilesAreNoStart(t *testing.T) {
	d := testkit.NewMemDisk()
	d.Set(errFull, 0)
	if j, err := state.OpenJournal(d, stateDir, kinds(), state.Mark{}); j != nil || !errors.Is(err, errFull) {
		t.Errorf("got %v, %v", j, err)
	}
	dir := t.TempDir()
	if err := createFile(state.OSDisk{}, dir+"/journal", "damaged"); err != nil {
		t.Fatal(err)
	}
	if _, err := state.OpenJournal(state.OSDisk{}, dir, kinds(), state.Mark{}); !errors.As(err, new(*state.DamagedError)) {
		t.Errorf("got %v", err)
	}
	d = testkit.NewMemDisk()
	d.Put(stateDir+"/journal", []byte("damaged\n"))
	d.Set(errFull, 0)
	if j, err := state.OpenJournal(d, stateDir, kinds(), state.Mark{}); j == nil || !strings.Contains(fmt.Sprint(err), "could not be set aside") || !errors.As(err, new(*state.UnwritableError)) {
		t.Errorf("got %v, %v", j, err)
	}
}

// Any bytes are read without a panic, and any entry is read as it was written.
// Faults: T21.
func FuzzRecords(f *testing.F) {
	d, _, _ := directory(f)
	f.Add(read(f, d, "/journal"), "key", []byte("data"))
	f.Add(read(f, d, "/snapshot-1"), "\n", []byte("\x1b\n"))
	f.Fuzz(func(t *testing.T, text []byte, key string, data []byte) {
		d := testkit.NewMemDisk()
		for _, name := range []string{"/journal", "/snapshot-1", "/snapshot-2"} {
			d.Put(stateDir+name, text)
		}
		if j, err := state.OpenJournal(d, stateDir, kinds(), openSnapshot(d, nil).Mark()); j == nil {
			t.Fatal(err)
		}
		load(d)
		d = testkit.NewMemDisk()
		e := state.Entry{Kind: "b", Key: key, Version: 2, Data: data}
		set(t, openJournal(t, d, state.Mark{}), e, entry("1", "x"))
		got := openJournal(t, d, state.Mark{}).Records("b")
		if len(data) > 0 && (len(got) != 1 || got[0].Key != key || !bytes.Equal(got[0].Data, data)) {
			t.Errorf("read %+v, want %+v", got, e)
		}
	})
}
