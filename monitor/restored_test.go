package monitor

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// TestIDsAreNeverReused restarts with different files. Monitors of files keep their ids.
// Faults: G46, U7.
func TestIDsAreNeverReused(t *testing.T) {
	dir := t.TempDir()
	start := func(t *testing.T, files string) *bench {
		b := newJournalBench(t, dir)
		// Files first, as the service does.
		b.mustApply(t, files)
		if errs := b.Restore(allowAll); len(errs) > 0 {
			t.Fatal(errs[0])
		}
		return b
	}
	synctest.Test(t, func(t *testing.T) {
		b := start(t, monitorTOML("f1", ""))
		register(t, b, "r1")
		if id := register(t, b, "r2"); id != 3 {
			t.Errorf("id %d", id)
		}
		if err := b.Unregister(3); err != nil {
			t.Fatal(err)
		}
		b.stop()
		b = start(t, monitorTOML("f2", "")+monitorTOML("f1", "")+monitorTOML("f3", ""))
		if got, want := b.listed(), "1:f1 2:r1 4:f2 5:f3"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		b.stop()
		b = start(t, "")
		if id := register(t, b, "r3"); id != 6 {
			t.Errorf("id %d", id)
		}
		b.stop()
	})
}

// TestUnrestoredRegistrationsAreRetained restarts with a stricter policy, registers
// a monitor, and restarts with the first policy.
// Faults: G46.
func TestUnrestoredRegistrationsAreRetained(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newJournalBench(t, dir)
		register(t, b, "r1")
		register(t, b, "r2")
		b.stop()
		b = newJournalBench(t, dir)
		no := errors.New("not any more")
		errs := b.Restore(func(d *Definition) error {
			if d.Name == "r1" {
				return no
			}
			return nil
		})
		if len(errs) != 1 || !errors.Is(errs[0], no) || !strings.Contains(errs[0].Error(), "restoring monitor 1: ") {
			t.Errorf("errors %v", errs)
		}
		register(t, b, "r3")
		b.stop()
		b = newJournalBench(t, dir)
		if errs := b.Restore(allowAll); len(errs) > 0 {
			t.Error(errs)
		}
		if got, want := b.listed(), "1:r1 2:r2 3:r3"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		b.stop()
		// A monitor that is never restored can be unregistered by its id.
		b = newJournalBench(t, dir)
		b.Restore(func(*Definition) error { return no })
		for id := range int64(3) {
			if err := b.Unregister(id + 1); err != nil {
				t.Error(err)
			}
		}
		if err := b.Unregister(1); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
		b.stop()
		if left := openJournal(t, dir).loaded.Monitors; len(left) != 0 {
			t.Errorf("left %v", left)
		}
	})
}

// TestNothingRunsBeforeItIsInTheJournal registers while writes fail.
// Faults: G46.
func TestNothingRunsBeforeItIsInTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := testkit.NewMemDisk()
		journal, err := openOn(t, disk, "/state")
		b := newBench(t, must(t, journal, err), delivery.Options{})
		register(t, b, "r1")
		disk.Set(testkit.ErrCut, 0)
		d := mustParse(t, `{"name": "r2", "probe": {"type": "fake", "name": "r2"}, "actions": [{"type": "fake"}]}`)
		d.Trusted = true
		if _, err := b.Register(d); !errors.Is(err, ErrJournal) {
			t.Errorf("got %v", err)
		}
		if got := b.listed(); got != "1:r1" || len(b.receiverNames()) != 0 || b.closed["r2"] != 1 {
			t.Errorf("listed %s, receivers %q, closed %v", got, b.receiverNames(), b.closed)
		}
		if err := b.Unregister(1); !errors.Is(err, ErrJournal) || b.listed() != "1:r1" {
			t.Errorf("got %v, and then %s", err, b.listed())
		}
		disk.Set(nil, 0)
		if _, err := b.Register(d); err != nil {
			t.Error(err)
		}
	})
}

// TestATokenRegisters200MonitorsAlsoAfterARestart counts what was registered before a
// restart, too. One token does not use up what others may register.
func TestATokenRegisters200MonitorsAlsoAfterARestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newJournalBench(t, dir)
		b.registerAll(t, "operator:1")
		full := func() error {
			_, err := b.registerAs(t, "operator:1", true, monitorTOML("more", ""))
			return err
		}
		if err := full(); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), `registering monitor "more": too many monitors are registered with this token: the limit is 200; unregister some, use another token, or define them in files`) {
			t.Errorf("the 201st: %v", err)
		}
		if _, err := b.registerAs(t, "operator:2", true, monitorTOML("other", "")); err != nil {
			t.Errorf("another token: %v", err)
		}
		// Without tokens callers cannot be distinguished.
		b.registerAll(t, "")
		if _, err := b.registerAs(t, "", true, monitorTOML("one more without a token", "")); err != nil {
			t.Errorf("the 201st without a token: %v", err)
		}
		b.stop()

		b = newJournalBench(t, dir)
		if err := full(); !errors.Is(err, ErrFull) {
			t.Errorf("before they are restored: %v", err)
		}
		if errs := b.Restore(allowAll); len(errs) > 0 {
			t.Fatal(errs)
		}
		if err := full(); !errors.Is(err, ErrFull) {
			t.Errorf("after a restart: %v", err)
		}
		if err := b.Unregister(1); err != nil {
			t.Fatal(err)
		}
		if err := full(); err != nil {
			t.Errorf("after one was unregistered: %v", err)
		}
	})
}
