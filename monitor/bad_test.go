package monitor

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// TestBadFiles loads each file of testdata/bad. The comments at its start are the
// expected problems, in order, without the file name.
func TestBadFiles(t *testing.T) {
	useTestdataCopy(t)
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text := testkit.ReadFile(t, file)
			var want []string
			for line := range strings.Lines(string(text)) {
				problem, ok := strings.CutPrefix(line, "#: ")
				if !ok {
					break
				}
				want = append(want, strings.TrimSuffix(problem, "\n"))
			}
			set, problems := loadFiles(file)
			problems = append(problems, builtinGroup().Apply(t.Context(), set, problems)...)
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

// useTestdataCopy changes to a directory with a copy of testdata that only the owner
// may write, whatever the umask of the checkout was.
func useTestdataCopy(t *testing.T) {
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

// TestBadFilesOfADirectoryAffectNoOthers loads a directory with good files and with
// every kind of bad file.
// Faults: T74.
func TestBadFilesOfADirectoryAffectNoOthers(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		testkit.WriteFile(t, path, text)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	monitor := func(name string) string {
		return fmt.Sprintf("[[monitor]]\nname = %q\n[monitor.probe]\ntype = \"exec\"\ncommand = \"/bin/true\"\n", name)
	}
	for i := range 49 {
		write(fmt.Sprintf("good%d.toml", i), monitor(fmt.Sprintf("good%d", i)), 0o644)
	}
	write("syntax.toml", "[[monitor", 0o644)
	write("twice.toml", monitor("good7"), 0o644)
	write("unknown.toml", monitor("u")+"agrs = []", 0o644)
	write("writable.toml", monitor("w"), 0o666)
	write("nan.toml", strings.Replace(monitor("n"), "\n[", "\nmin = nan\n[", 1), 0o644)
	write("big.toml", strings.Repeat("#", 10<<20), 0o644)
	write(".hidden.toml", "x", 0o644)
	write("other.txt", "x", 0o644)
	if err := os.Symlink("loop.toml", filepath.Join(dir, "loop.toml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.toml"), 0o755); err != nil {
		t.Fatal(err)
	}
	testkit.MakeFIFO(t, filepath.Join(dir, "pipe.toml"))

	g := builtinGroup()
	set, problems := loadFiles(dir)
	problems = append(problems, g.Apply(t.Context(), set, problems)...)
	document.SortProblems(problems)
	us, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range problems {
		text := strings.TrimPrefix(p.Error(), dir+"/")
		if strings.HasPrefix(text, "unknown.toml") {
			text, _, _ = strings.Cut(text, ";")
		}
		text = strings.ReplaceAll(text, "owner "+us.Username, "owner USER")
		got = append(got, strings.ReplaceAll(text, dir, "DIR"))
	}
	want := []string{
		"big.toml: larger than the limit of 4 MiB: split it",
		"dir.toml: cannot open it: not a regular file but a directory: give the path of a regular file",
		"loop.toml: cannot open it: too many levels of symbolic links",
		`nan.toml:3: monitor "n": min: NaN is not a finite number`,
		"pipe.toml: cannot open it: not a regular file but a named pipe: give the path of a regular file",
		"syntax.toml:1: expected '.' or ']' to end table name, but got '\\x00' instead: the header is not closed",
		`twice.toml:1: monitor "good7": the name is already in use at DIR/good7.toml:1`,
		`unknown.toml:6: monitor "u": probe exec: agrs: unknown key`,
		"writable.toml: warning: group or others may write the file (mode 0666, owner USER): its exec probes and actions are refused; to fix it, run \"chmod go-w DIR/writable.toml\"",
		`writable.toml:1: monitor "w": exec is refused: group or others may write the file (mode 0666, owner USER)`,
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
	if n := len(g.List(Filter{})); n != 49 {
		t.Errorf("%d monitors, want 49", n)
	}
	// The monitors of an unreadable directory keep running.
	again := g.Apply(t.Context(), Set{}, []*document.Problem{{File: dir, Err: errors.New("no")}})
	if n := len(g.List(Filter{})); n != 49 || len(again) != 0 {
		t.Errorf("%d monitors after the directory was unreadable, %v", n, again)
	}
}

// An action that works, but is probably not what is meant.
// Faults: C19.
func TestWarningsOfActionsNameTheirPlace(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		text := "[[receiver]]\nname = \"ops\"\ntype = \"fake\"\nodd = \"x\"\n" + monitorFor("a", "ops") + monitorWithActions("b", inlineAction("b")+"odd = \"y\"\n")
		want := []string{`f.toml:4: warning: receiver "ops": action fake: odd: "x" is odd`, `f.toml:22: warning: monitor "b": action fake: odd: "y" is odd`}
		var got []string
		for _, p := range b.apply(t, "f.toml", text) {
			got = append(got, p.Error())
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if found := b.apply(t, "f.toml", text); len(found) != 0 || len(b.List(Filter{})) != 2 {
			t.Errorf("unchanged: got %v", found)
		}
		id, err := b.registerAs(t, "", true, `{"name": "c", "probe": {"type": "fake", "name": "c"}, "actions": [{"type": "fake", "odd": "z"}]}`)
		must(t, id, err)
		if found := b.apply(t, "f.toml", text); len(found) != 0 {
			t.Errorf("after a registration: got %v", found)
		}
	})
}
