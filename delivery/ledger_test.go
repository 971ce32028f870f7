package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
)

// snapshotOf returns a snapshot that depends on number.
func snapshotOf(number int) Snapshot {
	var k Snapshot
	at := time.Date(2026, 11, 21, 1, 0, 0, 0, time.UTC)
	for i := range number%5 + 1 {
		m := fmt.Sprint("m", i)
		k.Incidents = append(k.Incidents, Incident{Monitor: m, ID: fmt.Sprint(number, "-", i), Since: at, Failures: i, Seq: int64(number)})
	}
	incident := fmt.Sprint(number, " <&> \u2028")
	k.Pending = []Pending{
		{Receiver: "gone", Notified: map[string]string{}, Absent: at, Notifications: []action.Notification{{Monitor: "m2", Event: action.Fail, Incident: "2", Time: at, Since: at}}},
		{
			Receiver: "ops", Notified: map[string]string{"m0": fmt.Sprint(number, "-0")},
			Notifications: []action.Notification{
				{Monitor: "m1", Event: action.Fail, Incident: incident, Seq: int64(number), Since: at, Time: at, Value: 1.5, Labels: map[string]string{"team": "a"}},
				{Monitor: "m1", Event: action.Recover, Incident: incident, Seq: 9, Since: at, Time: at.Add(time.Hour), Duration: 90 * time.Second},
			},
			Attempted: []string{incident + "-fail"},
		},
	}
	return k
}

// openRecords opens the journal of a state directory, which may be damaged or newer.
func openRecords(t testing.TB, d state.Disk, dir string) (*state.Journal, error) {
	t.Helper()
	j, err := state.OpenJournal(d, dir, LedgerKinds(), state.Mark{})
	if j == nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, err
}

// openLedger opens the ledger of a disk.
func openLedger(t testing.TB, d state.Disk, log *slog.Logger) (*Ledger, Snapshot) {
	t.Helper()
	j, err := openRecords(t, d, "/state")
	if err != nil {
		log.Error(err.Error())
	}
	return OpenLedger(j, log)
}

// write writes snapshotOf(number) and reports whether that succeeded.
func write(l *Ledger, number int) bool {
	_, err := l.write(func() Snapshot { return snapshotOf(number) }, true)
	return err == nil
}

// numberOf returns the number of a snapshot, -1 if it is empty. It fails the test
// unless the snapshot is complete.
func numberOf(t *testing.T, k Snapshot) int {
	t.Helper()
	if len(k.Incidents) == 0 && len(k.Pending) == 0 {
		return -1
	}
	number := int(k.Incidents[0].Seq)
	if want := snapshotOf(number); !reflect.DeepEqual(k, want) {
		t.Fatalf("read %+v,\nwant %+v", k, want)
	}
	return number
}

// The process is killed at each step of a write: the next one reads either the old or
// the new snapshot.
// Faults: T22.
func TestLedgerSurvivesAKillAtEveryStep(t *testing.T) {
	for cut := 1; ; cut++ {
		d := testkit.NewMemDisk()
		l, _ := openLedger(t, d, testkit.QuietLog())
		write(l, 1)
		d.CutAt = d.Steps + cut
		whole := write(l, 2)
		_, k := openLedger(t, d.Killed(), testkit.QuietLog())
		if n := numberOf(t, k); n != 1 && n != 2 || whole && n != 2 {
			t.Fatalf("killed at step %d: read %d", cut, n)
		}
		if whole {
			return
		}
	}
}

// both returns what two snapshots hold.
func both(a, b Snapshot) Snapshot {
	return Snapshot{Pending: append(a.Pending, b.Pending...), Incidents: append(a.Incidents, b.Incidents...)}
}

// The power fails at a random step: a successful write is never lost, and no write is
// read in part.
// Faults: T23.
func TestPowerFailureLosesNoPendingNotification(t *testing.T) {
	for seed := range testkit.Fewer(2000, 200) {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		d := testkit.NewMemDisk()
		l, _ := openLedger(t, d, testkit.QuietLog())
		d.CutAt = d.Steps + 1 + random.IntN(60)
		kept, begun := -1, -1
		for n := 0; d.Steps < d.CutAt; n++ {
			begun = n
			if write(l, n) {
				kept = n
			}
		}
		_, k := openLedger(t, d.LostPower(random), testkit.QuietLog())
		if n := numberOf(t, k); n < kept || n > begun {
			t.Fatalf("seed %d: read %d, want %d to %d", seed, n, kept, begun)
		}
	}
}

// subset reports whether everything in k is in want, where a receiver may be twice.
func subset(k, want Snapshot) bool {
	for _, i := range k.Incidents {
		if !contains(want.Incidents, i) {
			return false
		}
	}
	for _, b := range k.Pending {
		for m, delivered := range b.Notified {
			if !slices.ContainsFunc(want.Pending, func(w Pending) bool { return w.Receiver == b.Receiver && w.Notified[m] == delivered }) {
				return false
			}
		}
		for _, n := range b.Notifications {
			if !slices.ContainsFunc(want.Pending, func(w Pending) bool { return w.Receiver == b.Receiver && contains(w.Notifications, n) }) {
				return false
			}
		}
	}
	return true
}

func contains[T any](list []T, v T) bool {
	for _, e := range list {
		if reflect.DeepEqual(e, v) {
			return true
		}
	}
	return false
}

// Every bit is flipped, the file is cut at every byte, and random bytes are changed:
// all that is read was written. One flipped bit loses one record, and brings back
// nothing that was delivered.
// Faults: T21, S8.
func TestDamagedLedgerIsNeverMisread(t *testing.T) {
	want := snapshotOf(4)
	d := testkit.NewMemDisk()
	l, _ := openLedger(t, d, testkit.QuietLog())
	if !write(l, 9) || !write(l, 4) {
		t.Fatal("not written")
	}
	whole, err := d.ReadFile("/state/journal")
	if err != nil {
		t.Fatal(err)
	}
	records := len(recordsOf(want))
	for what, text := range testkit.Sampled(testkit.Damaged(whole), 7) {
		d := testkit.NewMemDisk()
		d.Put("/state/journal", text)
		_, got := openLedger(t, d, testkit.QuietLog())
		if !subset(got, both(snapshotOf(9), want)) {
			t.Fatalf("%s: read what was not written: %+v", what, got)
		}
		if n := len(recordsOf(got)); strings.HasPrefix(what, testkit.FlippedBit) && (n < records-1 || !subset(got, want)) {
			t.Fatalf("%s: %d of %d records are left, want all but one: %+v", what, n, records, got)
		}
	}
}

// A record that cannot be used is logged, and the others are used.
func TestRecordsOfTheLedgerThatCannotBeUsedAreLogged(t *testing.T) {
	d := testkit.NewMemDisk()
	l, _ := openLedger(t, d, testkit.QuietLog())
	if !write(l, 4) {
		t.Fatal("not written")
	}
	for _, e := range []state.Entry{
		{Kind: incidentRecord, Key: "x", Data: []byte("{}")},
		{Kind: incidentRecord, Key: "y", Data: []byte("junk")},
		{Kind: pendingRecord, Key: "z", Data: []byte(`{"receiver":"ops"}`)},
		{Kind: notifiedRecord, Key: "other", Data: []byte(`{"receiver":"ops","monitor":"m","told":"1"}`)},
	} {
		if err := l.journal.Set(e); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		if _, k := openLedger(t, d, testkit.InfoTo(&log)); numberOf(t, k) != 4 || !strings.Contains(log.String(), "a record of the ledger cannot be used") {
			t.Errorf("%+v: read %+v, logged %s", e, k, &log)
		}
		if err := l.journal.Set(state.Entry{Kind: e.Kind, Key: e.Key}); err != nil {
			t.Fatal(err)
		}
	}
}

// One more notification among thousands is written without the others.
// Faults: T47.
func TestLedgerWritesWhatHasChanged(t *testing.T) {
	d := testkit.NewMemDisk()
	l, _ := openLedger(t, d, testkit.QuietLog())
	size := func(k Snapshot, exact bool) int {
		t.Helper()
		before, _ := d.ReadFile("/state/journal")
		if _, err := l.write(func() Snapshot { return k }, exact); err != nil {
			t.Fatal(err)
		}
		after, _ := d.ReadFile("/state/journal")
		return len(after) - len(before)
	}
	size(failing(2000), false)
	k := failing(2001)
	for i := range k.Incidents {
		k.Incidents[i].Since, k.Pending[0].Notifications[i].Since = l.records.since(k.Incidents[i]), time.Time{}
		k.Incidents[i].Failures = 7
	}
	if n := size(k, false); n < 100 || n > 2000 {
		t.Errorf("one more notification takes %d bytes", n)
	}
	if n := size(k, false); n != 0 {
		t.Errorf("no change takes %d bytes", n)
	}
	if size(k, true); l.records.held[recordID{kind: incidentRecord, monitor: "monitor-7"}].incident.Failures != 7 {
		t.Error("the failures at the end are not written")
	}
	k.Pending[0].Notifications = k.Pending[0].Notifications[1:]
	if n := size(k, true); n < 50 || n > 200 {
		t.Errorf("a delivery takes %d bytes", n)
	}
}

// since returns when a recorded incident began, so that it is not changed.
func (h *ledgerRecords) since(i Incident) time.Time {
	if old, ok := h.held[recordID{kind: incidentRecord, monitor: i.Monitor}]; ok {
		return old.incident.Since
	}
	return i.Since
}

// A ledger of the former format is read, also in part, and replaced by a new one.
// Faults: T21.
func TestOldLedgerIsRead(t *testing.T) {
	want := snapshotOf(4)
	records := recordsOf(want)
	lines := []string{fmt.Sprintf(`{"head":{"version":1,"records":%d}}`, len(records))}
	for _, r := range records {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(text))
	}
	var old string
	for _, line := range lines {
		old += fmt.Sprintf("%08x %s\n", state.Checksum([]byte(line)), line)
	}
	d := testkit.NewMemDisk()
	d.Put("/state/ledger", []byte(old))
	for range 2 {
		if _, k := openLedger(t, d, testkit.QuietLog()); !reflect.DeepEqual(k, want) {
			t.Errorf("read %+v", k)
		}
		if text, err := d.ReadFile("/state/ledger.old"); err != nil || string(text) != old {
			t.Errorf("retained %q, %v", text, err)
		}
	}
	l, _ := openLedger(t, d, testkit.QuietLog())
	if !write(l, 2) {
		t.Error("not written")
	}
	if _, k := openLedger(t, d, testkit.QuietLog()); numberOf(t, k) != 2 {
		t.Error("the records are not read")
	}
	t.Run("damaged", func(t *testing.T) {
		testkit.SkipIfShort(t)
		for what, text := range testkit.Damaged([]byte(old)) {
			if k, err := decodeOldSnapshot(text); err == nil && !reflect.DeepEqual(k, want) || !subset(k, want) {
				t.Fatalf("%s: read %+v, %v", what, k, err)
			}
		}
	})
}

// The records of a newer program stay as they are. The ledger says so and delays nobody.
// Faults: S8.
func TestNewerLedgerIsLeftAlone(t *testing.T) {
	records := testkit.NewMemDisk()
	j, _ := openRecords(t, records, "/state")
	if err := j.Set(state.Entry{Kind: incidentRecord, Key: "m", Data: []byte(`{"incident":{"monitor":"m","id":"1","cause":"disk"}}`)}); err != nil {
		t.Fatal(err)
	}
	old := testkit.NewMemDisk()
	line := `{"head":{"version":2,"records":0}}`
	old.Put("/state/ledger", fmt.Appendf(nil, "%08x %s\n", state.Checksum([]byte(line)), line))
	for name, d := range map[string]*testkit.MemDisk{"/state/journal": records, "/state/ledger": old} {
		checkLeftAlone(t, d, name)
	}
}

// checkLeftAlone opens and runs a ledger of a disk with this file of a newer program.
func checkLeftAlone(t *testing.T, d *testkit.MemDisk, name string) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		l := runLedger(t, d, testkit.InfoTo(&log))
		text, err := d.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		l.Await(t.Context(), l.Changed())
		time.Sleep(time.Minute)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("waited %v", took-time.Minute)
		}
		if h := l.Health(); h.OK || !strings.Contains(h.Reason, "a newer monitor-srv has written it") || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("health %+v, logged\n%s", h, &log)
		}
		if left, err := d.ReadFile(name); err != nil || string(left) != string(text) {
			t.Errorf("the file holds %q, %v", left, err)
		}
	})
}

// runLedger runs a ledger over a disk in a synctest bubble.
func runLedger(t *testing.T, d state.Disk, log *slog.Logger) *Ledger {
	t.Helper()
	l, _ := openLedger(t, d, log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		var number atomic.Int64
		_ = l.Run(ctx, func() Snapshot { return snapshotOf(int(number.Add(1))) })
	}()
	t.Cleanup(func() { cancel(); <-done })
	return l
}

// With a disk whose fsync takes 2 s, as on NFS, the first notification waits for a
// second and the others not at all, until the disk is fast again.
// Faults: T24.
func TestSlowDiskDelaysANotificationByASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		d := testkit.NewMemDisk()
		l := runLedger(t, d, testkit.InfoTo(&log))
		wait := func() time.Duration {
			began := time.Now()
			l.Await(t.Context(), l.Changed())
			return time.Since(began)
		}
		if took := wait(); took > 2*ledgerMinPause || !l.Health().OK {
			t.Errorf("waited %v for a fast disk, %+v", took, l.Health())
		}
		d.Set(nil, 2*time.Second)
		if took := wait(); took != LedgerTimeout {
			t.Errorf("waited %v, want %v", took, LedgerTimeout)
		}
		for range 600 { // a minute
			if took := wait(); took != 0 {
				t.Fatalf("waited %v although the disk is known to be slow", took)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if s := l.Health(); s.OK || !strings.Contains(s.Reason, "longer than 1s") {
			t.Errorf("state %+v", s)
		}
		synctest.Wait()
		if n := strings.Count(log.String(), "\n"); n < 1 || n > 3 {
			t.Errorf("%d lines in a minute:\n%s", n, &log)
		}
		d.Set(nil, 0)
		time.Sleep(2*ledgerRetryInterval + 2*time.Second)
		if s := l.Health(); !s.OK {
			t.Errorf("state %+v although the disk is fast again", s)
		}
		if took := wait(); took > 2*ledgerMinPause {
			t.Errorf("waited %v", took)
		}
	})
}

// While the disk is full, nobody waits for it and the file stays as it is. The next
// write succeeds once there is space.
// Faults: T20.
func TestFullDiskDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		d := testkit.NewMemDisk()
		l := runLedger(t, d, testkit.InfoTo(&log))
		l.Await(t.Context(), l.Changed())
		before, err := d.ReadFile("/state/journal")
		if err != nil {
			t.Fatal(err)
		}
		d.Set(syscall.ENOSPC, 0)
		steps, _ := d.Counts()
		for range 6000 {
			began := time.Now()
			l.Await(t.Context(), l.Changed())
			if took := time.Since(began); took > 2*ledgerMinPause {
				t.Fatalf("waited %v", took)
			}
			time.Sleep(10 * time.Millisecond)
		}
		now, files := d.Counts()
		if n := now - steps; n > 35 {
			t.Errorf("%d writes were tried in a minute, want one each %v", n, ledgerRetryInterval)
		}
		if s := l.Health(); s.OK || !strings.Contains(s.Reason, "no space left") {
			t.Errorf("state %+v", s)
		}
		if after, err := d.ReadFile("/state/journal"); err != nil || string(after) != string(before) || files != 1 {
			t.Errorf("the disk holds %q, %v, and %d files", after, err, files)
		}
		synctest.Wait()
		if n := strings.Count(log.String(), "\n"); n < 1 || n > 3 {
			t.Errorf("%d lines in a minute:\n%s", n, &log)
		}
		d.Set(nil, 0)
		time.Sleep(ledgerRetryInterval + time.Millisecond)
		synctest.Wait()
		if s := l.Health(); !s.OK || !strings.Contains(log.String(), "written again") {
			t.Errorf("state %+v, logged\n%s", s, &log)
		}
	})
}

// The ledger is on a real file system that is full.
// Faults: T20.
func TestLedgerSurvivesAFullTmpfs(t *testing.T) {
	dir := testkit.SmallDisk(t)
	open := func() (*Ledger, Snapshot) {
		j, err := openRecords(t, state.OSDisk{}, dir)
		if err != nil && !errors.As(err, new(*state.UnwritableError)) {
			t.Fatal(err)
		}
		return OpenLedger(j, testkit.QuietLog())
	}
	l, _ := open()
	if !write(l, 1) {
		t.Fatal("the disk is full from the start")
	}
	free := testkit.FillDisk(t, dir)
	many := failing(2000)
	if _, err := l.write(func() Snapshot { return many }, false); err == nil || l.Health().OK {
		t.Error("a full disk took a write")
	}
	if _, k := open(); !subset(k, both(snapshotOf(1), many)) || !subset(snapshotOf(1), k) {
		t.Error("what was written is lost")
	}
	free()
	if !write(l, 3) || !l.Health().OK {
		t.Error("there is space again, and nothing is written")
	}
	if _, k := open(); numberOf(t, k) != 3 {
		t.Error("what was written then is lost")
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) != 1 {
		t.Errorf("there are %v", files)
	}
}

// Run writes once more before it returns, and releases those who wait.
func TestLedgerStopsWithItsLastState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewMemDisk()
		l, _ := openLedger(t, d, testkit.QuietLog())
		number := 1
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx, func() Snapshot { return snapshotOf(number) }) }()
		synctest.Wait()
		number = 2
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, k := openLedger(t, d, testkit.QuietLog()); numberOf(t, k) != 2 {
			t.Error("the last snapshot is not written")
		}
		began := time.Now()
		l.Await(t.Context(), l.Changed())
		if time.Since(began) != 0 {
			t.Error("waited for a stopped ledger")
		}
		d.Set(syscall.EIO, 0)
		l, _ = openLedger(t, d, testkit.QuietLog())
		if err := l.Run(ctx, func() Snapshot { return snapshotOf(3) }); !errors.Is(err, syscall.EIO) {
			t.Errorf("got %v", err)
		}
	})
}

// Run is stopped during a write, after another change: the last write has that
// change.
// Faults: G14.
func TestLedgerWritesItsLastStateAtAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewMemDisk()
		d.Set(nil, 100*time.Millisecond)
		l, _ := openLedger(t, d, testkit.QuietLog())
		var number atomic.Int64
		number.Store(1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx, func() Snapshot { return snapshotOf(int(number.Load())) }) }()
		l.Changed()
		time.Sleep(50 * time.Millisecond) // the write is in progress
		number.Store(2)
		l.Changed()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, k := openLedger(t, d, testkit.QuietLog()); numberOf(t, k) != 2 {
			t.Error("the last snapshot is not written")
		}
	})
}

// The file that the version before the journal has written is read.
// Faults: S8.
func TestLedgerOfTheFormerVersionIsRead(t *testing.T) {
	d := testkit.NewMemDisk()
	d.Put("/state/ledger", testkit.ReadFile(t, "testdata/ledger"))
	at := time.Date(2026, 11, 21, 1, 0, 0, 5, time.UTC)
	want := Snapshot{
		Incidents: []Incident{
			{Monitor: "gone", ID: "DEF", Since: at, Failures: 1, Seq: 1, Absent: at},
			{Monitor: "m1", ID: "ABC", Since: at, Failures: 3, Seq: 2},
		},
		Pending: []Pending{
			{Receiver: "http#0123456789ab", Notified: map[string]string{"gone": "DEF"}, Attempted: []string{"ABC-fail"}, Notifications: []action.Notification{
				{Monitor: "m1", Host: "h", Event: action.Fail, Incident: "ABC", Seq: 1, Value: 1.5, Error: "status 500 <&>", Since: at, Time: at, Version: "1", Labels: map[string]string{"team": "a"}, Failures: 1},
				{Monitor: "m1", Host: "h", Event: action.Recover, Incident: "ABC", Seq: 2, Since: at, Time: at.Add(time.Minute), Duration: time.Minute, Version: "1"},
			}},
			{Receiver: "ops", Notified: map[string]string{}, Absent: at, Notifications: []action.Notification{
				{Monitor: "m2", Event: action.Fail, Incident: "GHI", Seq: 1, Since: at, Time: at},
			}},
		},
	}
	for range 2 {
		if _, got := openLedger(t, d, testkit.QuietLog()); !reflect.DeepEqual(got, want) {
			t.Errorf("read %+v,\nwant %+v", got, want)
		}
	}
}
