package monitor

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// states returns the monitors as "id:name:state".
func (b *bench) states() string {
	var all []string
	for _, i := range b.List(Filter{}) {
		all = append(all, fmt.Sprintf("%d:%s:%s", i.ID, i.Name, i.State))
	}
	return strings.Join(all, " ")
}

// Faults: U7.
func TestStopLastsOverEditsReloadsAndRestarts(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		log := new(testkit.LogBuffer)
		start := func(files string) *bench {
			b := newJournalBench(t, dir)
			b.log = log.Logger()
			b.mustApply(t, files)
			if errs := b.Restore(allowAll); len(errs) > 0 {
				t.Fatal(errs)
			}
			return b
		}
		want := func(b *bench, when, states string) {
			t.Helper()
			time.Sleep(12 * time.Second)
			if got := b.states(); got != states {
				t.Errorf("%s: got %s, want %s", when, got, states)
			}
		}
		const keys = "interval = 10"
		b := start(monitorTOML("f1", keys) + monitorTOML("f2", keys))
		register(t, b, "r1")
		for id := range int64(3) {
			if err := b.Stop(id + 1); err != nil {
				t.Fatal(err)
			}
		}
		stopped := b.List(Filter{})[0].StoppedAt
		want(b, "stopped", "1:f1:STOPPED 2:f2:STOPPED 3:r1:STOPPED")
		b.mustApply(t, monitorTOML("f1", "interval = 5")+monitorTOML("f2", keys))
		want(b, "edited", "1:f1:STOPPED 2:f2:STOPPED 3:r1:STOPPED")
		if !strings.Contains(log.String(), "monitors stay stopped until they are started") {
			t.Errorf("logged %q", log)
		}
		b.mustApply(t, monitorTOML("f1", "interval = 5"))
		want(b, "removed from its file", "1:f1:STOPPED 3:r1:STOPPED")
		b.stop()

		b = start(monitorTOML("f3", keys) + monitorTOML("f2", keys) + monitorTOML("f1", keys))
		want(b, "restarted", "1:f1:STOPPED 2:f2:STOPPED 3:r1:STOPPED 4:f3:OK")
		if at := b.List(Filter{})[0].StoppedAt; !at.Equal(stopped) {
			t.Errorf("stopped at %v, want %v", at, stopped)
		}
		for id := range int64(3) {
			if err := b.Start(id + 1); err != nil {
				t.Error(err)
			}
		}
		want(b, "started", "1:f1:OK 2:f2:OK 3:r1:OK 4:f3:OK")
		b.stop()
		b = start(monitorTOML("f1", keys))
		want(b, "restarted again", "1:f1:OK 3:r1:OK")
		if i := b.List(Filter{})[0]; !i.StoppedAt.IsZero() {
			t.Errorf("a started monitor: %+v", i)
		}
		b.stop()
	})
}

// TestIDsOfRemovedMonitorsAreBounded removes one more monitor than is remembered.
// Faults: U7.
func TestIDsOfRemovedMonitorsAreBounded(t *testing.T) {
	g := builtinGroup()
	for g.lastID < maxFormer {
		name := fmt.Sprint("m", g.nextID())
		g.former[name] = fileEntry{ID: g.lastID, Name: name}
	}
	applyText(t, g, tcpMonitors(1, ""))
	applyText(t, g, "")
	if _, first := g.former["m1"]; first || len(g.former) != maxFormer || g.former["0"].ID != maxFormer+1 {
		t.Errorf("%d ids are retained, the first %v, the last %+v", len(g.former), first, g.former["0"])
	}
}

// TestStoppedMonitorKeepsItsIncident edits a failing monitor while it is stopped.
// Faults: U7.
func TestStoppedMonitorKeepsItsIncident(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(down)
		b.mustApply(t, monitorTOML("m", "interval = 10"))
		time.Sleep(12 * time.Second)
		if err := b.Stop(1); err != nil {
			t.Fatal(err)
		}
		b.setProbe(up)
		b.mustApply(t, monitorTOML("m", "interval = 5"))
		time.Sleep(12 * time.Second)
		if err := b.Start(1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(12 * time.Second)
		if i := b.List(Filter{})[0]; i.State != OK || i.Interval != 5*time.Second {
			t.Errorf("after the start: %+v", i)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		events := strings.Join(eventsOf(b.notifications), " ")
		if strings.Count(events, "m:fail") != 1 || !strings.HasSuffix(events, "m:recover") {
			t.Errorf("notified %s", events)
		}
	})
}

// Faults: U11.
func TestMonitorOfAFileIsNotUnregistered(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.mustApply(t, monitorTOML("m", ""))
		err := b.Unregister(1)
		if code, _ := StatusCode(err); !errors.Is(err, ErrOfFile) || code != 409 || !strings.Contains(err.Error(), `unregistering monitor "m": it is defined in the file "a.toml": remove it there, or stop it`) {
			t.Errorf("got %v", err)
		}
		if got := b.listed(); got != "1:m" {
			t.Errorf("listed %s", got)
		}
	})
}

// TestChangesOnAFullDiskChangeNothing tries each change on a full disk, and again once
// there is room.
// Faults: S4.
func TestChangesOnAFullDiskChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewMemDisk()
		start := func() *bench {
			j, err := openOn(t, d, "/state")
			b := newBench(t, must(t, j, err), delivery.Options{})
			b.mustApply(t, monitorTOML("f1", "interval = 10"))
			return b
		}
		b := start()
		register(t, b, "r2")
		register(t, b, "r3")
		if err := b.Stop(3); err != nil {
			t.Fatal(err)
		}
		registerFour := func() error {
			_, err := b.registerAs(t, "", true, monitorTOML("r4", ""))
			return err
		}
		changes := []func() error{
			registerFour,
			func() error { return b.Stop(1) },
			func() error { return b.Start(3) },
			func() error { return b.Unregister(2) },
		}
		time.Sleep(61 * time.Second)
		before := b.states()
		d.Set(syscall.ENOSPC, 0)
		for range 2 { // it stays so
			for i, change := range changes {
				err := change()
				if code, _ := StatusCode(err); !errors.Is(err, ErrJournal) || code != 503 {
					t.Errorf("change %d on a full disk: %v", i, err)
				}
			}
		}
		time.Sleep(61 * time.Second)
		if got := b.states(); got != before || before != "1:f1:OK 2:r2:OK 3:r3:STOPPED" {
			t.Errorf("after the changes were refused: %s, before: %s", got, before)
		}
		d.Set(nil, 0)
		for i, change := range changes {
			if err := change(); err != nil {
				t.Errorf("change %d once there is room: %v", i, err)
			}
		}
		time.Sleep(61 * time.Second)
		const want = "1:f1:STOPPED 3:r3:OK 4:r4:OK"
		if got := b.states(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		b.stop()
		b = start()
		b.Restore(allowAll)
		time.Sleep(61 * time.Second)
		if got := b.states(); got != want {
			t.Errorf("after a restart: got %s, want %s", got, want)
		}
		b.stop()
	})
}
