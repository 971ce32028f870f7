package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
)

// filesBench is a directory of monitors that a test changes.
type filesBench struct {
	t *testing.T
	*files
	log testkit.LogBuffer
}

func newFilesBench(t *testing.T, dir string) *filesBench {
	t.Helper()
	b := &filesBench{t: t}
	log := testkit.InfoTo(&b.log)
	group, _ := newGroup(groupConfig{recorder: discard{}, log: log})
	b.files = newFiles(t.Context(), dir, group, nil, log)
	t.Cleanup(b.files.close)
	return b
}

const oneMonitor = "[[monitor]]\nname = \"a\"\nprobe = { type = \"tcp\", address = \"127.0.0.1:1\" }\n"

// want reads the directory again and checks the component, which fails with a part of
// a reason or is well, and the number of monitors.
func (b *filesBench) want(step, reason string, monitors int) {
	b.t.Helper()
	b.load(b.t.Context())
	now := b.directory.look()
	if now.OK != (reason == "") || !strings.Contains(now.Reason, reason) {
		b.t.Errorf("%s: %+v, want %q", step, now, reason)
	}
	if reason != "" && !strings.Contains(b.log.String(), strings.ReplaceAll(now.Reason, `"`, `\"`)) {
		b.t.Errorf("%s: not in the log: %s", step, now.Reason)
	}
	if n := len(b.group.List(monitor.Filter{})); n != monitors {
		b.t.Errorf("%s: %d monitors, want %d", step, n, monitors)
	}
}

func (b *filesBench) must(errs ...error) {
	b.t.Helper()
	for _, err := range errs {
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// TestDirectoryThatVanishesIsFailingAndItsMonitorsStay takes the files away in several
// ways and puts them back.
// Faults: U8.
func TestDirectoryThatVanishesIsFailingAndItsMonitorsStay(t *testing.T) {
	base := t.TempDir()
	dir, away := filepath.Join(base, "conf"), filepath.Join(base, "away")
	b := newFilesBench(t, dir)
	const stay = "; the monitors stay as they were"
	b.want("a directory that is mistyped", `conf" does not exist: create it, or correct config_dir`, 0)
	b.must(os.Mkdir(dir, 0o755))
	b.want("an empty directory from the start", "", 0)
	testkit.WriteFile(t, filepath.Join(dir, "a.toml"), oneMonitor)
	b.want("its first file", "", 1)

	testkit.Remove(t, filepath.Join(dir, "a.toml"))
	b.want("no file any more", `has no files *.toml any more: put them back, or an empty one if there are to be none`+stay, 1)
	testkit.WriteFile(t, filepath.Join(dir, "a.toml"), oneMonitor)
	b.want("the file is back", "", 1)

	b.must(os.Rename(dir, away))
	b.want("the directory is gone", `does not exist: create it, or correct config_dir`+stay, 1)
	b.must(os.Mkdir(dir, 0o755))
	b.want("an empty one in its place, as without a mount", "has no files *.toml any more", 1)
	b.must(os.Remove(dir))
	testkit.WriteFile(t, dir, oneMonitor)
	b.want("a file in its place", "cannot be read: cannot open it: not a directory but a file: give the path of a directory"+stay, 1)
	b.must(os.Remove(dir))
	testkit.MakeFIFO(t, dir)
	b.want("a named pipe in its place", "not a directory but a named pipe", 1)
	b.must(os.Remove(dir), os.Rename(away, dir))
	b.want("the directory is back", "", 1)

	testkit.Remove(t, filepath.Join(dir, "a.toml"))
	testkit.WriteFile(t, filepath.Join(dir, "none.toml"), "")
	b.want("an empty file", "", 0)
}

// TestEachFindingIsLoggedOnce reads a directory that is missing again and again.
// Faults: U8.
func TestEachFindingIsLoggedOnce(t *testing.T) {
	b := newFilesBench(t, filepath.Join(t.TempDir(), "conf"))
	for range 5 {
		b.want("missing", "does not exist", 0)
	}
	if n := strings.Count(b.log.String(), "does not exist"); n != 1 {
		t.Errorf("%d lines:\n%s", n, b.log.String())
	}
	if !b.changedElsewhere(t.Context()) {
		t.Error("it is not tried again")
	}
}

// Faults: U8.
func TestDefaultDirectoryMayBeAbsent(t *testing.T) {
	if testkit.Exists(t, DefaultConfigDir) {
		t.Fatalf("this machine has %s", DefaultConfigDir)
	}
	b := newFilesBench(t, DefaultConfigDir)
	b.want("the default directory", "", 0)
	if b.changedElsewhere(t.Context()) {
		t.Error("it is tried again")
	}
}
