package safefile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/safefile"
)

func TestNamesAreSortedAndLimited(t *testing.T) {
	const files = 1000
	dir := t.TempDir()
	for i := range 3 * files {
		testkit.WriteFile(t, filepath.Join(dir, fmt.Sprintf("%04d.%s", i, []string{"toml", "txt"}[i%2])), "")
	}
	toml := func(name string) bool { return strings.HasSuffix(name, ".toml") }
	names, more, err := safefile.Names(dir, 10_000, toml)
	if err != nil || more || len(names) != 3*files/2 || !slices.IsSorted(names) {
		t.Errorf("%d names, more %v, %v", len(names), more, err)
	}
	names, more, err = safefile.Names(dir, 10, toml)
	if err != nil || !more || len(names) != 10 {
		t.Errorf("%d names, more %v, %v", len(names), more, err)
	}
}

// Faults: S2, U8.
func TestOnlyDirectoriesAreListed(t *testing.T) {
	dir := t.TempDir()
	pipe, file := filepath.Join(dir, "pipe"), filepath.Join(dir, "file")
	testkit.MakeFIFO(t, pipe)
	testkit.WriteFile(t, file, "")
	for path, want := range map[string]string{
		pipe:          "not a directory but a named pipe: give the path of a directory",
		file:          "not a directory but a file: give the path of a directory",
		"/dev/null":   "not a directory but a device: give the path of a directory",
		dir + "/none": "no such file or directory",
	} {
		if _, _, err := safefile.Names(path, 1, func(string) bool { return true }); err == nil || err.Error() != "open "+path+": "+want {
			t.Errorf("%s: error %v, want %s", path, err, want)
		}
	}
}

// TestCreateReplacesWhatIsThere plants a named pipe, which would block, and a link,
// through which another file would be overwritten.
// Faults: S2.
func TestCreateReplacesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "new"), filepath.Join(dir, "other")
	for name, plant := range map[string]func() error{
		"nothing":      func() error { return nil },
		"a file":       func() error { return os.WriteFile(path, []byte("longer content"), 0o666) },
		"a named pipe": func() error { testkit.MakeFIFO(t, path); return nil },
		"a link":       func() error { return os.Symlink(other, path) },
	} {
		testkit.WriteFile(t, other, "precious")
		if err := errors.Join(os.RemoveAll(path), plant()); err != nil {
			t.Fatal(err)
		}
		f, err := safefile.Create(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, err = f.WriteString("new")
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != 0o600 || string(testkit.ReadFile(t, path)) != "new" || string(testkit.ReadFile(t, other)) != "precious" {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
