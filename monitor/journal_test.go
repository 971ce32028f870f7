package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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

// sampleJournal returns a state with all kinds of records.
func sampleJournal() journalState {
	at := time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC)
	return journalState{
		LastID: 40,
		Monitors: []journalEntry{
			{ID: 7, Text: `{"name":"m"}`, Name: "m"},
			{ID: 12, Text: "x\ny", Trusted: true, Owner: "admin 1", Stopped: at},
			{ID: 13, Text: "<&> \u2028", Trusted: true},
		},
		Files: []fileEntry{{ID: 1, Name: "a"}, {ID: 30, Name: "b", Stopped: at}},
		Key:   []byte("0123456789abcdef"),
	}
}

// checkDamaged fails the test unless all that was read of a damaged file was in it, and
// returns how many monitors are left.
func checkDamaged(t *testing.T, what string, text []byte, decode func([]byte) (journalState, error)) int {
	t.Helper()
	want := sampleJournal()
	got, err := decode(text)
	if err == nil && !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: read %+v without an error", what, got)
	}
	highest := int64(0)
	for _, e := range got.Monitors {
		highest = max(highest, e.ID)
		if !slices.Contains(want.Monitors, e) {
			t.Fatalf("%s: read %+v", what, e)
		}
	}
	for _, e := range got.Files {
		highest = max(highest, e.ID)
		if !slices.Contains(want.Files, e) {
			t.Fatalf("%s: read %+v", what, e)
		}
	}
	if got.LastID != want.LastID && got.LastID != highest || len(got.Key) > 0 && !bytes.Equal(got.Key, want.Key) {
		t.Fatalf("%s: the last id is %d, the highest %d, the key %q", what, got.LastID, highest, got.Key)
	}
	return len(got.Monitors) + len(got.Files)
}

// TestDamagedJournalIsNeverMisread truncates the file at every byte, flips every bit and
// changes bytes at random: one flipped bit loses one monitor at most, and never the last
// id.
// Faults: T21, S8.
func TestDamagedJournalIsNeverMisread(t *testing.T) {
	whole, err := encodeJournal(sampleJournal())
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range testkit.Damaged(whole) {
		left := checkDamaged(t, what, text, decodeJournal)
		if !strings.HasPrefix(what, testkit.FlippedBit) {
			continue
		}
		if got, _ := decodeJournal(text); left < 4 || got.LastID != 40 || len(got.Key) == 0 {
			t.Fatalf("%s: read %+v", what, got)
		}
	}
	for _, text := range []string{"", "{}", "null", string(make([]byte, 1<<20))} {
		if got, err := decodeJournal([]byte(text)); err == nil || len(got.Monitors) > 0 {
			t.Errorf("%.30q is accepted as a journal", text)
		}
	}
}

// TestDamagedStateDirectoryStarts damages the journal 500 times at random. Each start
// succeeds, restores nothing that was not written, sets the damaged file aside, and
// leaves a sound one.
// Faults: T21, S8.
func TestDamagedStateDirectoryStarts(t *testing.T) {
	whole, err := encodeJournal(sampleJournal())
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(5, 6))
	for range testkit.Fewer(500, 100) {
		what, text := testkit.Corrupt(random, whole)
		checkDamaged(t, what, text, decodeJournal)
		d := testkit.NewMemDisk()
		if err := state.Replace(d, "/state/"+journalName, text); err != nil {
			t.Fatal(err)
		}
		j, err := OpenJournal(d, "/state")
		if j == nil {
			t.Fatalf("%s: %v", what, err)
		}
		var damaged *state.DamagedError
		if bytes.Equal(text, whole) != (err == nil) || err != nil && !errors.As(err, &damaged) {
			t.Fatalf("%s: %v", what, err)
		}
		if err != nil {
			if aside, readErr := d.ReadFile(damaged.Aside); readErr != nil || !bytes.Equal(aside, text) {
				t.Fatalf("%s: set aside %q, %v", what, aside, readErr)
			}
		}
		again, err := OpenJournal(d, "/state")
		if err != nil || !reflect.DeepEqual(again.loaded, j.loaded) {
			t.Fatalf("%s: then read %+v, %v, want %+v", what, again.loaded, err, j.loaded)
		}
	}
}

// oldJournal returns a file of the former format.
func oldJournal(content string) []byte {
	return fmt.Appendf(nil, `{"crc32c":%d,"state":%s}`, state.Checksum([]byte(content)), content)
}

// TestOldJournalIsReadOnce opens a directory with a journal of the former format.
// Faults: S8.
func TestOldJournalIsReadOnce(t *testing.T) {
	want := sampleJournal()
	content, err := marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	old := oldJournal(string(content))
	d := testkit.NewMemDisk()
	if err := state.Replace(d, "/state/monitors.json", old); err != nil {
		t.Fatal(err)
	}
	open := func(wantErr bool) *Journal {
		t.Helper()
		j, err := OpenJournal(d, "/state")
		if (err != nil) != wantErr || j == nil || !reflect.DeepEqual(j.loaded, want) {
			t.Fatalf("got %+v, %v", j, err)
		}
		return j
	}
	// While nothing can be written, the old file stays the one that counts.
	d.Set(testkit.ErrCut, 0)
	j := open(true)
	d.Set(nil, 0)
	if text, err := d.ReadFile("/state/monitors.json"); err != nil || !bytes.Equal(text, old) {
		t.Errorf("the old file holds %q, %v", text, err)
	}
	if err := j.save(want); err != nil {
		t.Error(err)
	}
	want.LastID = 41
	for range 2 {
		if text, err := d.ReadFile("/state/monitors.json.old"); err != nil || !bytes.Equal(text, old) {
			t.Errorf("the retired file holds %q, %v", text, err)
		}
		if _, err := d.ReadFile("/state/monitors.json"); err == nil {
			t.Error("the old file is still there")
		}
		if err := j.save(want); err != nil {
			t.Error(err)
		}
		j = open(false)
	}
	// A kill after the write and before the renaming leaves both.
	if err := state.Replace(d, "/state/monitors.json", oldJournal(`{"last_id":1,"monitors":[],"key":""}`)); err != nil {
		t.Fatal(err)
	}
	open(false)
	for what, text := range testkit.Damaged(old) {
		checkDamaged(t, what, text, decodeOldJournal)
	}
}

// TestPowerFailureLosesNoOldJournal cuts the power while the former format is replaced.
// Faults: T23, S8.
func TestPowerFailureLosesNoOldJournal(t *testing.T) {
	for seed := range testkit.Fewer(500, 100) {
		random := rand.New(rand.NewPCG(uint64(seed), 2))
		d := testkit.NewMemDisk()
		if err := state.Replace(d, "/state/monitors.json", oldJournal(`{"last_id":9,"monitors":[{"id":3,"text":"x","trusted":true}],"key":"a2V5"}`)); err != nil {
			t.Fatal(err)
		}
		d.CutAt = d.Steps + 1 + random.IntN(8)
		_, _ = OpenJournal(d, "/state")
		j, err := OpenJournal(d.LostPower(random), "/state")
		if err != nil || j.loaded.LastID != 9 || len(j.loaded.Monitors) != 1 || string(j.loaded.Key) != "key" {
			t.Fatalf("seed %d: got %+v, %v", seed, j, err)
		}
	}
}

// TestNewerJournalIsLeftAlone opens files that a newer program has written. The journal
// is usable, but writes nothing.
// Faults: S8.
func TestNewerJournalIsLeftAlone(t *testing.T) {
	fileOf := func(kind string, version int, data string) []byte {
		text, err := journalFormat().Encode([]state.Record{{Kind: registrationRecord, Version: 1, Data: []byte(`{"id":1}`)}, {Kind: kind, Version: version, Data: []byte(data)}})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, c := range []struct {
		name string
		text []byte
	}{
		{journalName, fileOf(registrationRecord, 2, "{}")},
		{journalName, fileOf("group", 1, "{}")},
		{journalName, fileOf(registrationRecord, 1, `{"id":7,"paused":true}`)},
		{journalName, fileOf(journalRecord, 1, `{"last_id":7,"epoch":1}`)},
		{"monitors.json", oldJournal(`{"last_id":1,"monitors":[],"key":"","version":99}`)},
		{"monitors.json", oldJournal(`{"last_id":1,"monitors":[{"id":1,"text":"","trusted":false,"paused":true}],"key":""}`)},
	} {
		d := testkit.NewMemDisk()
		if err := state.Replace(d, "/state/"+c.name, c.text); err != nil {
			t.Fatal(err)
		}
		j, err := OpenJournal(d, "/state")
		var newer *state.NewerError
		if j == nil || !errors.As(err, &newer) || j.Refused() == nil || len(j.loaded.Monitors) > 0 || !errors.As(j.save(journalState{}), &newer) {
			t.Fatalf("%.60s: got %+v, %v", c.text, j, err)
		}
		if text, err := d.ReadFile("/state/" + c.name); err != nil || !bytes.Equal(text, c.text) {
			t.Errorf("%.60s: the file holds %q, %v", c.text, text, err)
		}
		if _, files := d.Counts(); files != 1 {
			t.Errorf("%.60s: %d files are left", c.text, files)
		}
	}
}

// TestIDsGoOnAboveTheHighest reads last ids and ids that cannot be, in files with right
// checksums.
// Faults: S8.
func TestIDsGoOnAboveTheHighest(t *testing.T) {
	const entries = `{"id":5,"text":"a"},{"id":3,"text":"b"}`
	for _, c := range []struct {
		last     string
		monitors string
		want     int64
		left     int
		wrong    bool
	}{
		{"9", entries, 9, 2, false},
		{"2", entries, 5, 2, false},
		{"0", entries, 5, 2, false},
		{"-7", entries, 5, 2, true},
		{"9223372036854775807", entries, 5, 2, true},
		{"9223372036854775806", entries, 5, 2, true},
		{"9", entries + `,{"id":9223372036854775807,"text":"c"},{"id":-1,"text":"d"},{"id":0,"text":"e"}`, 9, 2, true},
		{"9", entries + `,{"id":5,"text":"twice"}`, 9, 2, true},
	} {
		text := oldJournal(fmt.Sprintf(`{"last_id":%s,"monitors":[%s],"key":"a2V5"}`, c.last, c.monitors))
		s, err := decodeOldJournal(text)
		if s.LastID != c.want || len(s.Monitors) != c.left || (err != nil) != c.wrong {
			t.Errorf("last id %s of %s: got %+v, %v", c.last, c.monitors, s, err)
		}
		records := []state.Record{{Kind: journalRecord, Version: 1, Data: fmt.Appendf(nil, `{"last_id":%s}`, c.last)}}
		for _, e := range strings.SplitAfter(c.monitors, "},") {
			records = append(records, state.Record{Kind: registrationRecord, Version: 1, Data: []byte(strings.TrimSuffix(e, ","))})
		}
		whole, err := journalFormat().Encode(records)
		if err != nil {
			t.Fatal(err)
		}
		s, err = decodeJournal(whole)
		if s.LastID != c.want || len(s.Monitors) != c.left || (err != nil) != c.wrong {
			t.Errorf("last id %s of %s: read %+v, %v", c.last, c.monitors, s, err)
		}
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
		j, err := OpenJournal(d, "/state")
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
	j, err := OpenJournal(d, "/state")
	if j == nil || err == nil || strings.Contains(err.Error(), `""`) || !strings.Contains(err.Error(), "could not be set aside") {
		t.Errorf("got %v, %v", j, err)
	}
}

// TestJournalOnAFullTmpfsKeepsItsState fills the disk of a journal.
// Faults: T20.
func TestJournalOnAFullTmpfsKeepsItsState(t *testing.T) {
	dir := testkit.SmallDisk(t)
	j, err := OpenJournal(state.OSDisk{}, dir)
	if err != nil || j.save(journalState{LastID: 6}) != nil {
		t.Fatal("the disk is full from the start", err)
	}
	free := testkit.FillDisk(t, dir)
	if j.save(journalState{LastID: 7}) == nil {
		t.Error("a full disk took a write")
	}
	// A start continues with the state there is.
	j, err = OpenJournal(state.OSDisk{}, dir)
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
	for seed := range testkit.Fewer(2000, 200) {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		d := testkit.NewMemDisk()
		j, err := OpenJournal(d, "/state")
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
		again, err := OpenJournal(d.LostPower(random), "/state")
		if err != nil || again.loaded.LastID < saved || again.loaded.LastID > begun {
			t.Fatalf("seed %d: the journal is at %d, want %d to %d; %v", seed, again.loaded.LastID, saved, begun, err)
		}
	}
}
