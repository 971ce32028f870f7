package monitor

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// applyFiles applies documents by the names of their files, as a directory of them.
func (b *bench) applyFiles(t *testing.T, files map[string]string) []*document.Problem {
	t.Helper()
	var set Set
	var problems []*document.Problem
	for name, text := range files {
		doc, problem := document.Parse(filepath.Join("/etc/monitors", name), text)
		if problem != nil {
			t.Fatal(problem)
		}
		problems = append(problems, doc.Read(t.Context(), &set)...)
	}
	return append(problems, b.Apply(t.Context(), set, problems)...)
}

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

// TestMonitorMayMoveFromItsFileToTheAPI registers a monitor that its file does not
// define any more: it keeps its id, and the journal has that once.
// Faults: U7.
func TestMonitorMayMoveFromItsFileToTheAPI(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newJournalBench(t, dir)
		b.mustApply(t, monitorTOML("m", "interval = 10"))
		b.mustApply(t, "")
		if id := register(t, b, "m"); id != 1 {
			t.Errorf("registered as %d", id)
		}
		b.stop()
		b = newJournalBench(t, dir) // fails for a damaged journal
		if errs := b.Restore(allowAll); len(errs) > 0 || b.listed() != "1:m" {
			t.Errorf("restored %s, %v", b.listed(), errs)
		}
		b.stop()
	})
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
	dir := testkit.SmallDisk(t)
	synctest.Test(t, func(t *testing.T) {
		b := newJournalBench(t, dir)
		b.mustApply(t, monitorTOML("f1", "interval = 10"))
		register(t, b, "r2")
		register(t, b, "r3")
		for _, id := range []int64{3} {
			if err := b.Stop(id); err != nil {
				t.Fatal(err)
			}
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
		free := testkit.FillDisk(t, dir)
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
		free()
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
		b = newJournalBench(t, dir)
		b.mustApply(t, monitorTOML("f1", "interval = 10"))
		b.Restore(allowAll)
		time.Sleep(61 * time.Second)
		if got := b.states(); got != want {
			t.Errorf("after a restart: got %s, want %s", got, want)
		}
		b.stop()
	})
}

// Faults: C34.
func TestMovedMonitorsKeepStateAndPace(t *testing.T) {
	a, z := monitorTOML("a", "interval = 10"), monitorTOML("z", "interval = 10")
	broken := "[[monitor]]\nname = \"b\"\nintervall = 10\n[monitor.probe]\ntype = \"fake\"\n"
	both := map[string]string{"a.toml": a + z}
	for name, c := range map[string]struct {
		files   []map[string]string // one after the other
		origins string
	}{
		"renamed":        {[]map[string]string{{"b.toml": a + z}}, "b.toml b.toml"},
		"split":          {[]map[string]string{{"a.toml": a, "z.toml": z}}, "a.toml z.toml"},
		"split by steps": {[]map[string]string{{"a.toml": a + z, "z.toml": z}, {"a.toml": a, "z.toml": z}}, "a.toml z.toml"},
		"merged":         {[]map[string]string{{"a.toml": a, "z.toml": z}, {"a.toml": z + a}}, "a.toml a.toml"},
		"other order":    {[]map[string]string{{"a.toml": "# moved\n" + z + "\n\n" + a}}, "a.toml a.toml"},
		"broken beside":  {[]map[string]string{{"b.toml": a + z + broken}, {"c.toml": broken + a + z}}, "c.toml c.toml"},
		"copied":         {[]map[string]string{{"a.toml": a + z, "b.toml": a + z}, {"b.toml": a + z}}, "b.toml b.toml"},
	} {
		t.Run(name, func(t *testing.T) {
			withBench(t, func(t *testing.T, b *bench) {
				b.applyFiles(t, both)
				time.Sleep(25 * time.Second)
				ids, before := b.listed(), b.List(Filter{})
				told := len(b.notifications)
				for _, files := range c.files {
					time.Sleep(3 * time.Second)
					b.applyFiles(t, files)
				}
				time.Sleep(60 * time.Second)
				b.mu.Lock()
				defer b.mu.Unlock()
				if len(b.notifications) != told || b.listed() != ids {
					t.Errorf("notified %q; listed %s, want %s", eventsOf(b.notifications[told:]), b.listed(), ids)
				}
				for name, at := range b.starts {
					for i := 1; i < len(at); i++ {
						if at[i].Sub(at[i-1]) != 10*time.Second {
							t.Errorf("%s was probed %v after the time before", name, at[i].Sub(at[i-1]))
						}
					}
				}
				var origins []string
				for i, now := range b.List(Filter{}) {
					origins = append(origins, strings.TrimPrefix(now.Origin, "file:"))
					if !now.Since.Equal(before[i].Since) || now.Probes <= before[i].Probes {
						t.Errorf("state of %s: %+v, before %+v", now.Name, now, before[i])
					}
				}
				if got := strings.Join(origins, " "); got != c.origins {
					t.Errorf("defined in %s, want %s", got, c.origins)
				}
			})
		})
	}
}

// TestBrokenMonitorMayMove breaks the definition of a monitor and moves it.
// Faults: C34.
func TestBrokenMonitorMayMove(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.applyFiles(t, map[string]string{"a.toml": monitorTOML("m", "interval = 10")})
		broken := monitorTOML("m", "intervall = 10")
		for _, file := range []string{"a.toml", "b.toml"} {
			b.applyFiles(t, map[string]string{file: broken})
			if got := b.listed(); got != "1:m" {
				t.Errorf("broken in %s: listed %q", file, got)
			}
		}
	})
}
