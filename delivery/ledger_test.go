package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
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
	k.Pending = []Pending{
		{
			Receiver: "ops", Notified: map[string]string{"m0": fmt.Sprint(number, "-0")},
			Notifications: []action.Notification{
				{Monitor: "m1", Event: action.Fail, Incident: "1 <&> \u2028", Seq: int64(number), Since: at, Time: at, Value: 1.5, Labels: map[string]string{"team": "a"}},
				{Monitor: "m1", Event: action.Recover, Incident: "1 <&> \u2028", Seq: 9, Since: at, Time: at.Add(time.Hour), Duration: 90 * time.Second},
			},
			Attempted: []string{"1 <&> \u2028-fail"},
		},
		{Receiver: "gone", Notified: map[string]string{}, Absent: at, Notifications: []action.Notification{{Monitor: "m2", Event: action.Fail, Incident: "2", Time: at, Since: at}}},
	}
	return k
}

// write writes snapshotOf(number) and reports whether that succeeded.
func write(l *Ledger, number int) bool {
	_, err := l.write(func() Snapshot { return snapshotOf(number) })
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
		l, _ := OpenLedger(d, "/state", testkit.QuietLog())
		write(l, 1)
		d.CutAt = d.Steps + cut
		whole := write(l, 2)
		after := d.Killed()
		l, k := OpenLedger(after, "/state", testkit.QuietLog())
		if n := numberOf(t, k); n != 1 && n != 2 || whole && n != 2 {
			t.Fatalf("killed at step %d: read %d", cut, n)
		}
		if _, err := after.ReadFile(l.path + ".new"); err == nil {
			t.Fatalf("killed at step %d: the incomplete file is left", cut)
		}
		if whole {
			return
		}
	}
}

// The power fails at a random step: a successful write is never lost, and no write is
// read in part.
// Faults: T23.
func TestPowerFailureLosesNoPendingNotification(t *testing.T) {
	for seed := range testkit.Fewer(2000, 200) {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		d := testkit.NewMemDisk()
		l, _ := OpenLedger(d, "/state", testkit.QuietLog())
		d.CutAt = d.Steps + 1 + random.IntN(60)
		kept, begun := -1, -1
		for n := 0; d.Steps < d.CutAt; n++ {
			begun = n
			if write(l, n) {
				kept = n
			}
		}
		after := d.LostPower(random)
		_, k := OpenLedger(after, "/state", testkit.QuietLog())
		if n := numberOf(t, k); n < kept || n > begun {
			t.Fatalf("seed %d: read %d, want %d to %d", seed, n, kept, begun)
		}
	}
}

// subset reports whether everything in k is in want.
func subset(k, want Snapshot) bool {
	for _, i := range k.Incidents {
		if !contains(want.Incidents, i) {
			return false
		}
	}
	for _, b := range k.Pending {
		for _, w := range want.Pending {
			if w.Receiver != b.Receiver {
				continue
			}
			for m, delivered := range b.Notified {
				if w.Notified[m] != delivered {
					return false
				}
			}
			for _, n := range b.Notifications {
				if !contains(w.Notifications, n) {
					return false
				}
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
// all that is read was written, and an error reports what is missing. One flipped bit
// loses one record.
// Faults: T21, S8.
func TestDamagedLedgerIsNeverMisread(t *testing.T) {
	testkit.SkipIfShort(t)
	want := snapshotOf(4)
	whole, err := encodeSnapshot(want)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Count(string(whole), "\n")
	check := func(what string, text []byte) (records int) {
		t.Helper()
		got, err := decodeSnapshot(text)
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: read %+v without an error", what, got)
		}
		if !subset(got, want) {
			t.Fatalf("%s: read what was not written: %+v", what, got)
		}
		records = len(got.Incidents)
		for _, b := range got.Pending {
			records += len(b.Notifications) + len(b.Notified)
		}
		return records
	}
	all := check("whole", whole)
	for what, text := range testkit.Damaged(whole) {
		n := check(what, text)
		if strings.HasPrefix(what, testkit.FlippedBit) && n < all-1 {
			t.Fatalf("%s: %d of %d records are left, want all but one", what, n, all)
		}
	}
	swapped := strings.SplitAfter(string(whole), "\n")
	if _, err := decodeSnapshot([]byte(strings.Join(swapped[:lines-2], "") + swapped[lines-1])); err == nil {
		t.Error("a line is missing, and no error reports it")
	}
	for _, text := range []string{"", "{}", "\n", "00000000 null\n", string(make([]byte, 1<<20)), strings.Replace(string(whole), " file/1 ", " file/2 ", 1)} {
		if k, err := decodeSnapshot([]byte(text)); err == nil || len(k.Incidents) == len(want.Incidents) && text == "" {
			t.Errorf("%.30q is read as a ledger", text)
		}
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		check(testkit.Corrupt(random, whole))
	}
}

// Repeated starts with damaged files read all intact records, log what is lost, and
// retain three damaged files.
// Faults: T21.
func TestDamagedLedgersAreSetAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ledgerName)
	whole, err := encodeSnapshot(snapshotOf(4))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 6 {
		damaged := append([]byte{}, whole...)
		damaged[len(damaged)-10-n] ^= 1
		testkit.WriteFile(t, path, damaged)
		var log strings.Builder
		_, k := OpenLedger(state.OSDisk{}, dir, testkit.InfoTo(&log))
		if len(k.Incidents) != 5 || !strings.Contains(log.String(), "1 of 10 records are lost") || !strings.Contains(log.String(), ".corrupt-1") {
			t.Errorf("read %+v, logged %s", k, &log)
		}
		if aside, err := os.ReadFile(path + ".corrupt-1"); err != nil || string(aside) != string(damaged) {
			t.Errorf("set aside %q, %v", aside, err)
		}
	}
	if files, err := filepath.Glob(path + "*"); err != nil || len(files) != 4 {
		t.Errorf("there are %v, %v, want the file and three damaged ones", files, err)
	}
	for _, text := range [][]byte{nil, make([]byte, 1<<20)} {
		testkit.WriteFile(t, path, text)
		if l, k := OpenLedger(state.OSDisk{}, dir, testkit.QuietLog()); l == nil || len(k.Incidents) != 0 {
			t.Errorf("read %+v of junk", k)
		}
	}
	// A directory of that name cannot be read.
	if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	l, _ := OpenLedger(state.OSDisk{}, dir, testkit.QuietLog())
	if write(l, 1) {
		if _, k := OpenLedger(state.OSDisk{}, dir, testkit.QuietLog()); numberOf(t, k) != 1 {
			t.Error("what was written is not read")
		}
	}
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
	if err := state.Replace(d, "/state/"+ledgerName, []byte(old)); err != nil {
		t.Fatal(err)
	}
	l, k := OpenLedger(d, "/state", testkit.QuietLog())
	if !reflect.DeepEqual(k, want) {
		t.Errorf("read %+v", k)
	}
	if _, again := OpenLedger(d, "/state", testkit.QuietLog()); !write(l, 2) || !reflect.DeepEqual(again, want) {
		t.Errorf("read %+v", again)
	}
	if _, k := OpenLedger(d, "/state", testkit.QuietLog()); numberOf(t, k) != 2 {
		t.Error("the new ledger is not read")
	}
	t.Run("damaged", func(t *testing.T) {
		testkit.SkipIfShort(t)
		for what, text := range testkit.Damaged([]byte(old)) {
			if k, err := decodeSnapshot(text); err == nil && !reflect.DeepEqual(k, want) || !subset(k, want) {
				t.Fatalf("%s: read %+v, %v", what, k, err)
			}
		}
	})
}

// The file of a newer program stays as it is. The ledger says so and delays nobody.
// Faults: S8.
func TestNewerLedgerIsLeftAlone(t *testing.T) {
	for _, record := range []state.Record{
		{Kind: incidentRecord, Version: 2, Data: []byte("{}")},
		{Kind: incidentRecord, Version: 1, Data: []byte(`{"incident":{"monitor":"m","id":"1","cause":"disk"}}`)},
		{Kind: "silence", Version: 1, Data: []byte("{}")},
	} {
		text, err := ledgerFormat().Encode([]state.Record{record})
		if err != nil {
			t.Fatal(err)
		}
		checkLeftAlone(t, text)
	}
}

// checkLeftAlone opens and runs a ledger whose file has this content.
func checkLeftAlone(t *testing.T, text []byte) {
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewMemDisk()
		if err := state.Replace(d, "/state/"+ledgerName, text); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		l := runLedger(t, d, testkit.InfoTo(&log))
		began := time.Now()
		l.Await(t.Context(), l.Changed())
		time.Sleep(time.Minute)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("waited %v", took-time.Minute)
		}
		if h := l.Health(); h.OK || !strings.Contains(h.Reason, "a newer monitor-srv has written it") || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("health %+v, logged\n%s", h, &log)
		}
		if left, err := d.ReadFile(l.path); err != nil || string(left) != string(text) {
			t.Errorf("the file holds %q, %v", left, err)
		}
	})
}

// runLedger runs a ledger over a disk in a synctest bubble.
func runLedger(t *testing.T, d state.Disk, log *slog.Logger) *Ledger {
	t.Helper()
	l, _ := OpenLedger(d, "/state", log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = l.Run(ctx, func() Snapshot { return snapshotOf(1) })
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
		before, err := d.ReadFile(l.path)
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
		if after, err := d.ReadFile(l.path); err != nil || string(after) != string(before) || files != 1 {
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
	l, _ := OpenLedger(state.OSDisk{}, dir, testkit.QuietLog())
	if !write(l, 1) {
		t.Fatal("the disk is full from the start")
	}
	before := testkit.ReadFile(t, l.path)
	free := testkit.FillDisk(t, dir)
	if write(l, 2) || l.Health().OK {
		t.Error("a full disk took a write")
	}
	if after, err := os.ReadFile(l.path); err != nil || string(after) != string(before) {
		t.Errorf("the file holds %q, %v", after, err)
	}
	if _, k := OpenLedger(state.OSDisk{}, dir, testkit.QuietLog()); numberOf(t, k) != 1 {
		t.Error("what was written is lost")
	}
	free()
	if !write(l, 3) || !l.Health().OK {
		t.Error("there is space again, and nothing is written")
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) != 1 {
		t.Errorf("there are %v", files)
	}
	if info, err := os.Stat(l.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// Run writes once more before it returns, and releases those who wait.
func TestLedgerStopsWithItsLastState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewMemDisk()
		l, _ := OpenLedger(d, "/state", testkit.QuietLog())
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
		if _, k := OpenLedger(d, "/state", testkit.QuietLog()); numberOf(t, k) != 2 {
			t.Error("the last snapshot is not written")
		}
		began := time.Now()
		l.Await(t.Context(), l.Changed())
		if time.Since(began) != 0 {
			t.Error("waited for a stopped ledger")
		}
		d.Set(syscall.EIO, 0)
		l, _ = OpenLedger(d, "/state", testkit.QuietLog())
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
		l, _ := OpenLedger(d, "/state", testkit.QuietLog())
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
		if _, k := OpenLedger(d, "/state", testkit.QuietLog()); numberOf(t, k) != 2 {
			t.Error("the last snapshot is not written")
		}
	})
}
