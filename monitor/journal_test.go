package monitor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
)

const journalPath = "/state/journal"

// openOn opens a journal that may be damaged or newer.
func openOn(t *testing.T, d state.Disk, dir string) (j *Journal, err error) {
	t.Helper()
	records, err := state.OpenJournal(d, dir, JournalKinds(), state.Mark{})
	if records == nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = records.Close() })
	j, journalErr := OpenJournal(records)
	return j, errors.Join(err, journalErr)
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

// newSample returns a disk with the journal of sampleJournal, to which something was
// appended.
func newSample(t *testing.T) *testkit.MemDisk {
	t.Helper()
	d, s := testkit.NewMemDisk(), sampleJournal()
	j, err := openOn(t, d, "/state")
	if err != nil {
		t.Fatal(err)
	}
	j.loaded.Key = s.Key
	for _, some := range []journalState{
		{LastID: 30, Monitors: s.Monitors[:1], Files: s.Files},
		{LastID: 50, Monitors: append([]journalEntry{{ID: 9, Text: "gone"}}, s.Monitors...), Files: s.Files},
		s,
	} {
		if err := j.save(some); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestJournalIsReadAsItWasWritten(t *testing.T) {
	d := newSample(t)
	for range 3 {
		j, err := openOn(t, d, "/state")
		if err != nil || !reflect.DeepEqual(j.loaded, sampleJournal()) {
			t.Fatalf("got %+v, %v", j.loaded, err)
		}
	}
}

// TestChangeIsOneSmallWrite saves changes of a journal with many monitors.
func TestChangeIsOneSmallWrite(t *testing.T) {
	d := testkit.NewMemDisk()
	j, err := openOn(t, d, "/state")
	if err != nil {
		t.Fatal(err)
	}
	s := journalState{LastID: 1000}
	for i := range 1000 {
		s.Monitors = append(s.Monitors, journalEntry{ID: int64(i + 1), Text: strings.Repeat("x", 500)})
	}
	save := func() (written, syncs int) {
		t.Helper()
		before, _ := d.ReadFile(journalPath)
		syncs = d.Synced()
		if err := j.save(s); err != nil {
			t.Fatal(err)
		}
		after, _ := d.ReadFile(journalPath)
		return len(after) - len(before), d.Synced() - syncs
	}
	save()
	s.Monitors[7].Stopped = time.Now()
	if written, syncs := save(); written > 2000 || syncs != 1 {
		t.Errorf("a stop took %d bytes and %d syncs", written, syncs)
	}
	s.Monitors = slices.Delete(s.Monitors, 7, 8)
	if written, syncs := save(); written > 200 || syncs != 1 {
		t.Errorf("a removal took %d bytes and %d syncs", written, syncs)
	}
	if written, syncs := save(); written != 0 || syncs != 0 {
		t.Errorf("no change took %d bytes and %d syncs", written, syncs)
	}
}

// checkDamaged fails the test unless all that was read of a damaged file was in it at
// some time, and returns how many monitors of sampleJournal are left.
func checkDamaged(t *testing.T, what string, got journalState) int {
	t.Helper()
	want := sampleJournal()
	left, highest := 0, int64(0)
	for _, e := range got.Monitors {
		highest = max(highest, e.ID)
		if slices.Contains(want.Monitors, e) {
			left++
		} else if e.Text != "gone" {
			t.Fatalf("%s: read %+v", what, e)
		}
	}
	for _, e := range got.Files {
		highest = max(highest, e.ID)
		if left++; !slices.Contains(want.Files, e) {
			t.Fatalf("%s: read %+v", what, e)
		}
	}
	if !slices.Contains([]int64{0, 30, 40, 50, highest}, got.LastID) || got.LastID < highest {
		t.Fatalf("%s: the last id is %d, the highest %d", what, got.LastID, highest)
	}
	return left
}

// TestDamagedJournalIsNeverMisread truncates the file at every byte, flips every bit and
// changes bytes at random: one flipped bit loses one monitor at most, never the last id,
// and brings nothing back.
// Faults: T21, S8.
func TestDamagedJournalIsNeverMisread(t *testing.T) {
	d := newSample(t)
	whole, err := d.ReadFile(journalPath)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range testkit.Sampled(testkit.Damaged(whole), 7) {
		d := testkit.NewMemDisk()
		d.Put(journalPath, text)
		j, _ := openOn(t, d, "/state")
		left := checkDamaged(t, what, j.loaded)
		if strings.HasPrefix(what, testkit.FlippedBit) && (left < 4 || left < len(j.loaded.Monitors)+len(j.loaded.Files) || j.loaded.LastID < 40 || len(j.loaded.Key) == 0) {
			t.Fatalf("%s: read %+v", what, j.loaded)
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
	want.Files = nil
	content, err := marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	old := oldJournal(string(content))
	d := testkit.NewMemDisk()
	open := func(wantErr bool) *Journal {
		t.Helper()
		j, err := openOn(t, d, "/state")
		if (err != nil) != wantErr || !reflect.DeepEqual(j.loaded, want) {
			t.Fatalf("got %+v, %v", j.loaded, err)
		}
		return j
	}
	if _, err := openOn(t, d, "/state"); err != nil {
		t.Fatal(err)
	}
	d.Put("/state/monitors.json", old)
	// While nothing can be written, the old file stays the one that counts.
	d.Set(testkit.ErrCut, 0)
	j := open(true)
	d.Set(nil, 0)
	if text, err := d.ReadFile("/state/monitors.json"); err != nil || string(text) != string(old) {
		t.Errorf("the old file holds %q, %v", text, err)
	}
	if err := j.save(want); err != nil {
		t.Error(err)
	}
	want.LastID = 41
	for range 2 {
		if text, err := d.ReadFile("/state/monitors.json.old"); err != nil || string(text) != string(old) {
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
	// An older program has run since: what it has left counts. No id is given twice.
	d.Put("/state/monitors.json", oldJournal(`{"last_id":1,"monitors":[],"key":"a2V5"}`))
	want.Monitors, want.Key = []journalEntry{}, []byte("key")
	open(false)
	for what, text := range testkit.Damaged(old) {
		got, err := decodeOldJournal(text)
		if left := checkDamaged(t, what, got); err == nil && left < 3 {
			t.Fatalf("%s: read %+v without an error", what, got)
		}
	}
}

// TestPowerFailureLosesNoOldJournal cuts the power while the former format is replaced.
// Faults: T23, S8.
func TestPowerFailureLosesNoOldJournal(t *testing.T) {
	for seed := range testkit.Fewer(500, 100) {
		random := rand.New(rand.NewPCG(uint64(seed), 2))
		d := testkit.NewMemDisk()
		d.Put("/state/monitors.json", oldJournal(`{"last_id":9,"monitors":[{"id":3,"text":"x","trusted":true}],"key":"a2V5"}`))
		d.CutAt = d.Steps + 1 + random.IntN(16)
		if records, err := state.OpenJournal(d, "/state", JournalKinds(), state.Mark{}); err == nil {
			_, _ = OpenJournal(records)
		}
		j, err := openOn(t, d.LostPower(random), "/state")
		if err != nil || j.loaded.LastID != 9 || len(j.loaded.Monitors) != 1 || string(j.loaded.Key) != "key" {
			t.Fatalf("seed %d: got %+v, %v", seed, j.loaded, err)
		}
	}
}

// TestNewerJournalIsLeftAlone opens records and files that a newer program has written.
// The journal is usable, but writes nothing.
// Faults: S8.
func TestNewerJournalIsLeftAlone(t *testing.T) {
	newer := func(kind, key, data string) *testkit.MemDisk {
		d := newSample(t)
		set(t, d, state.Entry{Kind: kind, Key: key, Data: []byte(data)})
		return d
	}
	old := func(content string) *testkit.MemDisk {
		d := testkit.NewMemDisk()
		d.Put("/state/monitors.json", oldJournal(content))
		return d
	}
	for what, d := range map[string]*testkit.MemDisk{
		"a registration": newer(registrationRecord, "7", `{"id":7,"paused":true}`),
		"the head":       newer(headRecord, "1", `{"last_id":7,"epoch":1}`),
		"an old file":    old(`{"last_id":1,"monitors":[],"key":"","version":99}`),
		"an old monitor": old(`{"last_id":1,"monitors":[{"id":1,"text":"","trusted":false,"paused":true}],"key":""}`),
	} {
		j, err := openOn(t, d, "/state")
		var newer *state.NewerError
		if !errors.As(err, &newer) || j.Refused() == nil || len(j.loaded.Monitors) > 0 || !errors.As(j.save(journalState{}), &newer) {
			t.Errorf("%s: got %+v, %v", what, j, err)
		}
		if again, err := openOn(t, d, "/state"); !errors.As(err, &newer) || again.Refused() == nil {
			t.Errorf("%s: then got %v", what, err)
		}
	}
}

// set writes records beside a Journal.
func set(t *testing.T, d state.Disk, entries ...state.Entry) {
	t.Helper()
	records, err := state.OpenJournal(d, "/state", JournalKinds(), state.Mark{})
	if err == nil {
		err = records.Set(entries...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestIDsGoOnAboveTheHighest reads last ids and ids that cannot be, with right
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
		records := []state.Entry{{Kind: headRecord, Key: "1", Data: fmt.Appendf(nil, `{"last_id":%s}`, c.last)}}
		for _, e := range strings.SplitAfter(c.monitors, "},") {
			id, _, _ := strings.Cut(strings.TrimPrefix(e, `{"id":`), ",")
			if strings.Contains(e, "twice") {
				id = "6" // under a key that is not its id
			}
			records = append(records, state.Entry{Kind: registrationRecord, Key: id, Data: []byte(strings.TrimSuffix(e, ","))})
		}
		d := testkit.NewMemDisk()
		set(t, d, records...)
		j, err := openOn(t, d, "/state")
		if s := j.loaded; s.LastID != c.want || len(s.Monitors) != c.left || (err != nil) != c.wrong {
			t.Errorf("last id %s of %s: read %+v, %v", c.last, c.monitors, s, err)
		}
	}
}

// TestLargestJournalIsReadAgain writes definitions of the largest size, made of
// characters that JSON escapes.
func TestLargestJournalIsReadAgain(t *testing.T) {
	for _, letters := range []string{`<>&"`, "\"", "\\", "\t", "\u2028", "\x7f", "\u00fc"} {
		d := testkit.NewMemDisk()
		j, err := openOn(t, d, "/state")
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat(letters, MaxDefinition/len(letters))
		if err := j.save(journalState{LastID: 1, Monitors: []journalEntry{{ID: 1, Text: text, Trusted: true, Owner: "operator 0123456789abcdef"}}}); err != nil {
			t.Fatal(err)
		}
		raw, err := d.ReadFile(journalPath)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw)*DefaultMaxRegistered > state.MaxSize {
			t.Errorf("%q: %d such monitors take %d bytes, more than %d", letters, DefaultMaxRegistered, len(raw)*DefaultMaxRegistered, state.MaxSize)
		}
		if j, err := openOn(t, d, "/state"); err != nil || j.loaded.Monitors[0].Text != text {
			t.Errorf("%q is not read back: %v", letters, err)
		}
	}
}

// TestJournalOnAFullTmpfsKeepsItsState fills the disk of a journal.
// Faults: T20.
func TestJournalOnAFullTmpfsKeepsItsState(t *testing.T) {
	dir := testkit.SmallDisk(t)
	j, err := openOn(t, state.OSDisk{}, dir)
	if err != nil || j.save(journalState{LastID: 6}) != nil {
		t.Fatal("the disk is full from the start", err)
	}
	free := testkit.FillDisk(t, dir)
	large := journalState{LastID: 7, Monitors: []journalEntry{{ID: 7, Text: strings.Repeat("x", 1<<20)}}}
	if j.save(large) == nil {
		t.Error("a full disk took a write")
	}
	// A start continues with the state there is.
	j, err = openOn(t, state.OSDisk{}, dir)
	if err == nil || j.loaded.LastID < 6 || len(j.loaded.Monitors) > 0 {
		t.Errorf("opening the journal on a full disk: %v", err)
	}
	if j.save(large) == nil {
		t.Error("a full disk took a write")
	}
	free()
	if err := j.save(journalState{LastID: 7}); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}

// TestPowerFailureLosesNoRegistration cuts the power at a random step. No acknowledged
// change is lost, and none is read in part.
// Faults: T23.
func TestPowerFailureLosesNoRegistration(t *testing.T) {
	for seed := range testkit.Fewer(2000, 200) {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		d := testkit.NewMemDisk()
		j, err := openOn(t, d, "/state")
		if err != nil {
			t.Fatal(err)
		}
		d.CutAt = d.Steps + 1 + random.IntN(60)
		// Monitor 1 is changed again and again, and each change registers another one.
		begun, saved := int64(0), int64(0)
		for d.Steps < d.CutAt {
			begun++
			s := journalState{LastID: begun + 1, Monitors: []journalEntry{{ID: 1, Text: strconv.FormatInt(begun, 10)}, {ID: begun + 1, Text: "new"}}}
			if j.save(s) == nil {
				saved = begun
			}
		}
		again, err := openOn(t, d.LostPower(random), "/state")
		if err != nil && !errors.As(err, new(*state.DamagedError)) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		last, at := again.loaded.LastID-1, int64(0)
		if ms := again.loaded.Monitors; len(ms) > 0 {
			at, _ = strconv.ParseInt(ms[0].Text, 10, 64)
		}
		if max(last, 0) < saved || at < saved || max(last, at) > begun {
			t.Fatalf("seed %d: got %+v, want %d to %d; %v", seed, again.loaded, saved, begun, err)
		}
	}
}

// TestFilesOfTheFormerVersionAreRead reads a file that the version before the journal
// has written.
// Faults: S8.
func TestFilesOfTheFormerVersionAreRead(t *testing.T) {
	d := testkit.NewMemDisk()
	d.Put("/state/monitors.json", testkit.ReadFile(t, "testdata/monitors.json"))
	want := journalState{
		LastID: 9, Key: []byte("0123456789abcdef0123456789abcdef"),
		Monitors: []journalEntry{
			{ID: 3, Text: "{\"name\":\"m1\"}\n<&>", Trusted: true, Owner: "admin 0123"},
			{ID: 7, Text: "x"},
		},
	}
	for range 2 {
		if j, err := openOn(t, d, "/state"); err != nil || !reflect.DeepEqual(j.loaded, want) {
			t.Errorf("got %+v, %v", j.loaded, err)
		}
	}
}
