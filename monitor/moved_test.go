package monitor

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/document"
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
