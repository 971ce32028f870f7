package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
)

const nobody = 65534

func openDir(t *testing.T, path string) *state.Dir {
	t.Helper()
	d, err := state.OpenDir(path, testkit.QuietLog())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// createFile creates a file with a text.
func createFile(d state.Disk, path, text string) error {
	f, err := d.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	return errors.Join(err, f.Sync(), f.Close())
}

func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// TestStateDirectoryIsForItsOwnerOnly opens directories of several modes.
// Faults: S7.
func TestStateDirectoryIsForItsOwnerOnly(t *testing.T) {
	for mode, want := range map[os.FileMode]string{0o777: "level=WARN", 0o770: "level=WARN", 0o755: "level=INFO", 0o700: "", 0: ""} {
		path := filepath.Join(t.TempDir(), "new", "state")
		if mode != 0 { // 0: it is not there
			if err := errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
		}
		var log strings.Builder
		d, err := state.OpenDir(path, testkit.InfoTo(&log))
		if err != nil {
			t.Fatal(err)
		}
		if got := modeOf(t, path); got != 0o700 || !strings.Contains(log.String(), want) || want == "" && log.Len() > 0 {
			t.Errorf("mode %04o became %04o, logged %s", mode, got, &log)
		}
		if err := createFile(d, filepath.Join(path, "f"), "x"); err != nil || modeOf(t, filepath.Join(path, "f")) != 0o600 {
			t.Errorf("the file has mode %04o, %v", modeOf(t, filepath.Join(path, "f")), err)
		}
		if _, err := state.OpenDir(path, testkit.QuietLog()); err == nil || !strings.Contains(err.Error(), "another process uses it") {
			t.Errorf("opened twice: %v", err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestStateDirectoryIsADirectory(t *testing.T) {
	file := testkit.NewFile(t, "file", "")
	for path, want := range map[string]string{
		filepath.Join(file, "state"): "creating the state directory",
		file:                         "not a directory",
	} {
		if _, err := state.OpenDir(path, testkit.QuietLog()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestStateDirectoryOfOthersIsRefused opens a directory of nobody.
// Faults: S7.
func TestStateDirectoryOfOthersIsRefused(t *testing.T) {
	testkit.SkipUnlessRoot(t, "give a directory to somebody else")
	for _, mode := range []os.FileMode{0o777, 0o700} {
		path := t.TempDir()
		if err := errors.Join(os.Chmod(path, mode), os.Chown(path, nobody, nobody)); err != nil {
			t.Fatal(err)
		}
		_, err := state.OpenDir(path, testkit.QuietLog())
		if err == nil || !strings.Contains(err.Error(), "its owner is nobody, who could give rights: run chown root") || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v", err)
		}
		if got := modeOf(t, path); got != mode {
			t.Errorf("mode %04o became %04o", mode, got)
		}
	}
}

// TestFilesThatOthersMayWriteAreNotBelieved loads files of several owners and modes.
// Faults: S7.
func TestFilesThatOthersMayWriteAreNotBelieved(t *testing.T) {
	testkit.SkipUnlessRoot(t, "give a file to somebody else")
	for _, c := range []struct {
		owner int
		mode  os.FileMode
		want  string // a part of the error; empty: believed
	}{
		{0, 0o600, ""},
		{0, 0o644, ""},
		{0, 0o666, "mode 0666"},
		{0, 0o620, "mode 0620"},
		{nobody, 0o600, "its owner is nobody"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		testkit.WriteFile(t, path, "text")
		if err := errors.Join(os.Chmod(path, c.mode), os.Chown(path, c.owner, 0)); err != nil {
			t.Fatal(err)
		}
		read := ""
		err := state.Load(openDir(t, dir), path, func(text []byte) error { read = string(text); return nil })
		if c.want == "" {
			if err != nil || read != "text" || modeOf(t, path) != 0o600 {
				t.Errorf("%+v: read %q, mode %04o, %v", c, read, modeOf(t, path), err)
			}
			continue
		}
		var damaged *state.DamagedError
		if !errors.As(err, &damaged) || read != "" || !strings.Contains(err.Error(), c.want) || testkit.Exists(t, path) {
			t.Errorf("%+v: read %q, %v", c, read, err)
		} else if text := testkit.ReadFile(t, damaged.Aside); string(text) != "text" {
			t.Errorf("%+v: set aside %q", c, text)
		}
	}
}

// TestMovedDirectoryIsNotWritten renames the directory, puts another one in its place,
// removes that one, and moves the first back.
// Faults: S9.
func TestMovedDirectoryIsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	file := filepath.Join(path, "f")
	var log strings.Builder
	d, err := state.OpenDir(path, testkit.InfoTo(&log))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	steps := []struct {
		name string
		do   func() error
		ok   bool
	}{
		{"in its place", func() error { return nil }, true},
		{"renamed", func() error { return os.Rename(path, path+".old") }, false},
		{"replaced", func() error { return os.Mkdir(path, 0o700) }, false},
		{"replaced, with a file of the same name", func() error { return os.WriteFile(file, []byte("theirs"), 0o600) }, false},
		{"back", func() error { return errors.Join(os.RemoveAll(path), os.Rename(path+".old", path)) }, true},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatal(err)
		}
		err := createFile(d, file, s.name)
		if (err == nil) != s.ok || !s.ok && !errors.Is(err, state.ErrMoved) {
			t.Errorf("%s: %v", s.name, err)
		}
		if h := d.Health(); h.OK != s.ok || (h.Reason == "") != s.ok {
			t.Errorf("%s: %+v", s.name, h)
		}
		if _, err := state.CopyAside(d, file); (err == nil) != s.ok {
			t.Errorf("%s: set aside: %v", s.name, err)
		}
		if !s.ok {
			if err := d.Remove(file); err != nil {
				t.Errorf("%s: removing: %v", s.name, err)
			}
			// Another instance uses the new directory at will.
			if testkit.Exists(t, path) {
				other := openDir(t, path)
				_ = other.Close()
			}
		}
		if s.name == "replaced, with a file of the same name" {
			if text := testkit.ReadFile(t, file); string(text) != "theirs" {
				t.Errorf("the file of the other directory holds %q", text)
			}
		}
	}
	if text := testkit.ReadFile(t, file); string(text) != "back" {
		t.Errorf("the file holds %q", text)
	}
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("logged\n%s", &log)
	}
}
