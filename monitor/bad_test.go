package monitor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/probe"
)

// builtinGroup returns a Group of the real kinds that never runs.
func builtinGroup() *Group {
	return NewGroup(Config{
		Probes: probe.Builtin(), Delivery: newDeliveries(action.Builtin()), Recorder: nobody{},
		MaxPerSecond: 1_000_000,
	})
}

type nobody struct{}

func (nobody) Record(Result) {}

// TestBadFiles reads each file of testdata/bad, whose first comment lines hold
// all that is to be said of it, in order, without the name of the file.
func TestBadFiles(t *testing.T) {
	copyOfTestdata(t)
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.Lines(string(text)) {
				said, ok := strings.CutPrefix(line, "#: ")
				if !ok {
					break
				}
				want = append(want, strings.TrimSuffix(said, "\n"))
			}
			set, problems := loadFiles(file)
			problems = append(problems, builtinGroup().Apply(set, problems)...)
			document.SortProblems(problems)
			var got []string
			for _, p := range problems {
				got = append(got, strings.TrimPrefix(p.Error(), file+":"))
			}
			if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
		})
	}
}

// copyOfTestdata has the test work in a copy of testdata that nobody else may
// write, whatever the umask was when it was checked out.
func copyOfTestdata(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()&^0o022)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
}
