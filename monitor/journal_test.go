package monitor

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
)

// TestJournalSurvivesAKillAtEveryByte kills a write after each byte. The journal has
// either its old content or all of the new one.
// Faults: T22.
func TestJournalSurvivesAKillAtEveryByte(t *testing.T) {
	before := journalState{LastID: 1, Monitors: []journalEntry{{ID: 1, Text: "old <&> \u2028", Trusted: true}}}
	after := journalState{LastID: 2, Monitors: []journalEntry{{ID: 1, Text: "old <&> \u2028", Trusted: true}, {ID: 2, Text: "new"}}}
	content := func(s journalState) []byte {
		dir := t.TempDir()
		j := openJournal(t, dir)
		j.loaded.Key = []byte("key")
		if err := j.save(s); err != nil {
			t.Fatal(err)
		}
		b := testkit.ReadFile(t, j.path())
		return b
	}
	older, newer := content(before), content(after)
	dir := t.TempDir()
	path := filepath.Join(dir, journalName)
	load := func(main, partial []byte) journalState {
		t.Helper()
		for p, b := range map[string][]byte{path: main, path + ".new": partial} {
			testkit.WriteFile(t, p, b)
		}
		j := openJournal(t, dir)
		if _, err := os.Stat(path + ".new"); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("the partial file of a kill is not removed: %v", err)
		}
		s := j.loaded
		s.Key = nil
		return s
	}
	for n := range len(newer) + 1 {
		if got := load(older, newer[:n]); !reflect.DeepEqual(got, before) {
			t.Fatalf("killed after byte %d: %+v", n, got)
		}
	}
	if got := load(newer, nil); !reflect.DeepEqual(got, after) {
		t.Fatalf("renamed: %+v", got)
	}
}

// TestDamagedJournalIsNeverMisread truncates the file at every byte and flips bits.
// It is set aside, or has its original content.
// Faults: T21.
func TestDamagedJournalIsNeverMisread(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	want := journalState{LastID: 12, Monitors: []journalEntry{{ID: 7, Text: `{"name":"m"}`}, {ID: 12, Text: "x", Trusted: true}}, Key: j.loaded.Key}
	if err := j.save(want); err != nil {
		t.Fatal(err)
	}
	whole := testkit.ReadFile(t, j.path())
	for what, text := range testkit.Damaged(whole) {
		if got, err := decodeJournal(text); err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: loaded %+v", what, got)
		}
	}
	for _, text := range []string{"", "{}", "null", `{"crc32c":0}`, `{"crc32c":0,"state":""}`, string(make([]byte, 1<<20))} {
		if _, err := decodeJournal([]byte(text)); err == nil {
			t.Errorf("%.30q is accepted as a journal", text)
		}
	}
	testkit.WriteFile(t, j.path(), whole[:len(whole)-1])
	j, err := OpenJournal(dir)
	var damaged *DamagedError
	if !errors.As(err, &damaged) || j == nil || len(j.loaded.Monitors) != 0 {
		t.Fatalf("got %v", err)
	}
	if retained, err := os.ReadFile(damaged.Copy); err != nil || string(retained) != string(whole[:len(whole)-1]) {
		t.Errorf("retained %q, %v", retained, err)
	}
	openJournal(t, dir)
}

func TestJournalNeedsADirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	testkit.WriteFile(t, file, "")
	if _, err := OpenJournal(filepath.Join(file, "state")); err == nil || !strings.Contains(err.Error(), "creating the state directory") {
		t.Errorf("got %v", err)
	}
}

// TestJournalTooLargeToReadIsNotWritten expects the old file after the error.
// Faults: T20.
func TestJournalTooLargeToReadIsNotWritten(t *testing.T) {
	d := testkit.NewMemDisk()
	if err := state.Replace(d, "/state/f", []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := state.Replace(d, "/state/f", make([]byte, state.MaxSize+1)); err == nil {
		t.Error("a file is written that cannot be read")
	}
	if text, err := d.ReadFile("/state/f"); err != nil || string(text) != "old" {
		t.Errorf("the file holds %d bytes, %v", len(text), err)
	}
}

// TestLargestJournalIsReadAgain checks state.MaxSize with definitions of the largest
// size, made of characters that JSON escapes.
func TestLargestJournalIsReadAgain(t *testing.T) {
	for _, letters := range []string{`<>&"`, "\"", "\\", "\t", "\u2028", "\x7f", "\u00fc"} {
		d := testkit.NewMemDisk()
		j, err := openJournalOn(d, "/state")
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat(letters, MaxDefinition/len(letters))
		if err := j.save(journalState{LastID: 1, Monitors: []journalEntry{{ID: 1, Text: text, Trusted: true, Owner: "operator 0123456789abcdef"}}}); err != nil {
			t.Fatal(err)
		}
		raw, err := d.ReadFile(j.path())
		if err != nil {
			t.Fatal(err)
		}
		if len(raw)*DefaultMaxRegistered > state.MaxSize {
			t.Errorf("%q: %d such monitors take %d bytes, more than %d", letters, DefaultMaxRegistered, len(raw)*DefaultMaxRegistered, state.MaxSize)
		}
		decoded, err := decodeJournal(raw)
		if err != nil || decoded.Monitors[0].Text != text {
			t.Errorf("%q is not read back: %v", letters, err)
		}
	}
}

// TestDamagedJournalOnAFullDiskIsReported expects an error that says that there is
// no copy.
// Faults: T20, T21.
func TestDamagedJournalOnAFullDiskIsReported(t *testing.T) {
	d := testkit.NewMemDisk()
	if err := state.Replace(d, "/state/"+journalName, []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	d.Set(testkit.ErrCut, 0)
	j, err := openJournalOn(d, "/state")
	if j == nil || err == nil || strings.Contains(err.Error(), `""`) || !strings.Contains(err.Error(), "could not be set aside") {
		t.Errorf("got %v, %v", j, err)
	}
}

// TestJournalOnAFullTmpfsKeepsItsState fills the disk of a journal.
// Faults: T20.
func TestJournalOnAFullTmpfsKeepsItsState(t *testing.T) {
	dir := testkit.SmallDisk(t)
	j, err := OpenJournal(dir)
	if err != nil || j.save(journalState{LastID: 6}) != nil {
		t.Fatal("the disk is full from the start", err)
	}
	free := testkit.FillDisk(t, dir)
	if j.save(journalState{LastID: 7}) == nil {
		t.Error("a full disk took a write")
	}
	// A start continues with the state there is.
	j, err = OpenJournal(dir)
	if j == nil || !errors.As(err, new(*UnwritableError)) || j.loaded.LastID != 6 {
		t.Errorf("opening the journal on a full disk: %v", err)
	}
	free()
	if err := j.save(journalState{LastID: 7}); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	if info, err := os.Stat(j.path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestPowerFailureLosesNoRegistration cuts the power at a random step. No
// acknowledged registration is lost, and none is read in part.
// Faults: T23.
func TestPowerFailureLosesNoRegistration(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 1))
		d := testkit.NewMemDisk()
		j, err := openJournalOn(d, "/state")
		if err != nil {
			t.Fatal(err)
		}
		d.CutAt = d.Steps + 1 + random.IntN(60)
		begun, saved := int64(-1), int64(0)
		for d.Steps < d.CutAt {
			begun++
			if j.save(journalState{LastID: begun}) == nil {
				saved = begun
			}
		}
		again, err := openJournalOn(d.LostPower(random), "/state")
		if err != nil || again.loaded.LastID < saved || again.loaded.LastID > begun {
			t.Fatalf("seed %d: the journal is at %d, want %d to %d; %v", seed, again.loaded.LastID, saved, begun, err)
		}
	}
}
