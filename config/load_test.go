package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/safefile"
)

// configDir is a directory with one file that runs a command.
type configDir struct {
	t   *testing.T
	dir string
}

const commandFile = "[[monitor]]\nname = \"m\"\n[monitor.probe]\ntype = \"exec\"\ncommand = \"/bin/true\"\n"

// newConfigDir returns a secure directory. The test adds the file by file or link.
func newConfigDir(t *testing.T) *configDir {
	t.Helper()
	d := &configDir{t, filepath.Join(t.TempDir(), "conf")}
	d.mkdir("", 0o755)
	return d
}

func (d *configDir) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *configDir) path(name string) string { return filepath.Join(d.dir, name) }

func (d *configDir) chmod(name string, mode os.FileMode) {
	d.t.Helper()
	d.must(os.Chmod(d.path(name), mode))
}

func (d *configDir) mkdir(name string, mode os.FileMode) {
	d.t.Helper()
	d.must(os.Mkdir(d.path(name), 0o700))
	d.chmod(name, mode)
}

func (d *configDir) file(name string, mode os.FileMode) {
	d.t.Helper()
	d.must(os.WriteFile(d.path(name), []byte(commandFile), 0o600))
	d.chmod(name, mode)
}

func (d *configDir) link(target, name string) { d.t.Helper(); d.must(os.Symlink(target, d.path(name))) }

// chown gives a file or link to another user; only root may.
func (d *configDir) chown(name string) {
	d.t.Helper()
	d.must(os.Lchown(d.path(name), otherUser, -1))
}

// otherUser is the id of a user who is neither root nor the user of the test.
const otherUser = 54321

// load reads the directory and returns all problems, with DIR for its path.
func (d *configDir) load() (monitors int, problems string) {
	d.t.Helper()
	var set monitor.Set
	var all []string
	l := newLoader(&set)
	l.loadPaths(d.t.Context(), nil, []string{d.dir}) // in this goroutine: see TestFilesOfReadOnlyMountsRunCommands
	for _, p := range l.problems {
		all = append(all, strings.ReplaceAll(p.Error(), d.dir, "DIR"))
	}
	return len(set.Monitors), strings.ReplaceAll(strings.Join(all, "\n"), "owner "+safefile.UserName(uint32(os.Geteuid())), "owner US")
}

// TestGuardedFilesRunCommands has files, directories and links that only root and
// our user may change.
// Faults: T74.
func TestGuardedFilesRunCommands(t *testing.T) {
	for name, make := range map[string]func(*configDir){
		"a file":           func(d *configDir) { d.file("a.toml", 0o644) },
		"a private one":    func(d *configDir) { d.file("a.toml", 0o400); d.chmod("", 0o700) },
		"a shared sticky":  func(d *configDir) { d.file("a.toml", 0o644); d.chmod("", 0o777|os.ModeSticky) },
		"a relative link":  func(d *configDir) { d.mkdir("sub", 0o755); d.file("sub/a", 0o644); d.link("./sub/../sub/a", "a.toml") },
		"an absolute link": func(d *configDir) { d.file("a", 0o644); d.link(d.path("a"), "a.toml") },
		"Kubernetes": func(d *configDir) {
			d.mkdir("..2026_01_01", 0o755)
			d.file("..2026_01_01/a.toml", 0o644)
			d.link("..2026_01_01", "..data")
			d.link("..data/a.toml", "a.toml")
		},
		"a linked directory": func(d *configDir) {
			d.must(os.Rename(d.dir, d.dir+"-1"))
			d.must(os.Symlink("conf-1", d.dir))
			d.file("a.toml", 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newConfigDir(t)
			make(d)
			if n, problems := d.load(); n != 1 || problems != "" {
				t.Errorf("%d monitors: %s", n, problems)
			}
		})
	}
}

// TestFilesThatOthersMayWriteRunNoCommand expects that the file is read but its
// commands are refused.
// Faults: T74.
func TestFilesThatOthersMayWriteRunNoCommand(t *testing.T) {
	const through = "exec probes and actions of files found through it are refused"
	for name, c := range map[string]struct {
		make func(*configDir)
		want string
	}{
		"the file": {
			func(d *configDir) { d.chmod("a.toml", 0o664) },
			`DIR/a.toml: warning: group or others may write the file (mode 0664, owner US): its exec probes and actions are refused; to fix it, run "chmod go-w DIR/a.toml"
DIR/a.toml:1: monitor "m": exec is refused: group or others may write the file (mode 0664, owner US)`,
		},
		"the directory": {
			func(d *configDir) { d.chmod("", 0o777) },
			`DIR: warning: group or others may write the directory (mode 0777, owner US): ` + through + `; to fix it, run "chmod go-w DIR"
DIR/a.toml:1: monitor "m": exec is refused: group or others may write the directory DIR (mode 0777, owner US)`,
		},
		"the target of a link": {
			func(d *configDir) {
				d.must(os.Rename(d.path("a.toml"), d.path("target")))
				d.chmod("target", 0o666)
				d.link("target", "a.toml")
			},
			`DIR/a.toml: warning: group or others may write the file (mode 0666, owner US): its exec probes and actions are refused; to fix it, run "chmod go-w DIR/a.toml"
DIR/a.toml:1: monitor "m": exec is refused: group or others may write the file (mode 0666, owner US)`,
		},
		"the directory that a link leads through": {
			func(d *configDir) {
				d.mkdir("sub", 0o775)
				d.mkdir("sub/inner", 0o755)
				d.must(os.Rename(d.path("a.toml"), d.path("sub/inner/a")))
				d.link("sub/inner/a", "a.toml")
			},
			`DIR/a.toml:1: monitor "m": exec is refused: group or others may write the directory DIR/sub (mode 0775, owner US)
DIR/sub: warning: group or others may write the directory (mode 0775, owner US): ` + through + `; to fix it, run "chmod go-w DIR/sub"`,
		},
		"the directory in which the directory is a link": {
			func(d *configDir) {
				d.must(os.Rename(d.dir, d.dir+"-1"))
				d.must(os.Symlink("conf-1", d.dir))
				d.chmod("..", 0o777)
			},
			fmt.Sprintf(`DIR-PARENT: warning: group or others may write the directory (mode 0777, owner US): %s; to fix it, run "chmod go-w DIR-PARENT"
DIR/a.toml:1: monitor "m": exec is refused: group or others may write the directory DIR-PARENT (mode 0777, owner US)`, through),
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newConfigDir(t)
			d.file("a.toml", 0o644)
			c.make(d)
			n, problems := d.load()
			if problems = strings.ReplaceAll(problems, filepath.Dir(d.dir), "DIR-PARENT"); n != 0 || problems != c.want {
				t.Errorf("%d monitors, problems\n%s\nwant\n%s", n, problems, c.want)
			}
		})
	}
}

// TestExposedDirectoryIsReportedOnce loads three files without commands, which are
// not refused.
// Faults: T74.
func TestExposedDirectoryIsReportedOnce(t *testing.T) {
	d := newConfigDir(t)
	for i := range 3 {
		text := strings.NewReplacer(`"m"`, fmt.Sprintf(`"m%d"`, i), `"exec"`, `"tcp"`, "command", "address").Replace(commandFile)
		d.must(os.WriteFile(d.path(fmt.Sprintf("%d.toml", i)), []byte(text), 0o600))
	}
	d.chmod("", 0o777)
	if n, problems := d.load(); n != 3 || strings.Count(problems, "warning") != 1 || strings.Count(problems, "\n") != 0 {
		t.Errorf("%d monitors: %s", n, problems)
	}
}

// Faults: U8.
func TestFilesNotReadForTheCaseOfTheirNamesAreWarnedOf(t *testing.T) {
	d := newConfigDir(t)
	text := strings.NewReplacer(`"exec"`, `"tcp"`, "command", "address").Replace(commandFile)
	for _, name := range []string{"a.toml", "B.TOML", ".C.Toml", "d.toml.txt", "e.json"} {
		d.must(os.WriteFile(d.path(name), []byte(text), 0o600))
	}
	n, problems := d.load()
	if want := "DIR/B.TOML: warning: the file is not read: write .toml in lower case"; n != 1 || problems != want {
		t.Errorf("%d monitors: %s, want %s", n, problems, want)
	}
}

// TestFilesOfOtherUsersRunNoCommand has files of a user who is neither root nor
// ours.
// Faults: T74.
func TestFilesOfOtherUsersRunNoCommand(t *testing.T) {
	testkit.SkipUnlessRoot(t, "give files to another user")
	for name, c := range map[string]struct {
		make func(*configDir)
		want string
	}{
		"the file": {
			func(d *configDir) { d.chown("a.toml") },
			`DIR/a.toml: warning: the owner of the file is user 54321, not root: its exec probes and actions are refused; to fix it, run "chown root DIR/a.toml"
DIR/a.toml:1: monitor "m": exec is refused: the owner of the file is user 54321, not root`,
		},
		"the directory": {
			func(d *configDir) { d.chown("") },
			`DIR: warning: the owner of the directory is user 54321, not root: exec probes and actions of files found through it are refused; to fix it, run "chown root DIR"
DIR/a.toml:1: monitor "m": exec is refused: the owner of the directory DIR is user 54321, not root`,
		},
		"the link": {
			func(d *configDir) {
				d.must(os.Rename(d.path("a.toml"), d.path("target")))
				d.link("target", "a.toml")
				d.chown("a.toml")
			},
			`DIR/a.toml: warning: the owner of the link is user 54321, not root: exec probes and actions of files found through it are refused; to fix it, run "chown -h root DIR/a.toml"
DIR/a.toml:1: monitor "m": exec is refused: the owner of the link DIR/a.toml is user 54321, not root`,
		},
		"the target": {
			func(d *configDir) {
				d.must(os.Rename(d.path("a.toml"), d.path("target")))
				d.link("target", "a.toml")
				d.chown("target")
			},
			`DIR/a.toml: warning: the owner of the file is user 54321, not root: its exec probes and actions are refused; to fix it, run "chown root DIR/a.toml"
DIR/a.toml:1: monitor "m": exec is refused: the owner of the file is user 54321, not root`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newConfigDir(t)
			d.file("a.toml", 0o644)
			c.make(d)
			if n, problems := d.load(); n != 0 || problems != c.want {
				t.Errorf("%d monitors, problems\n%s\nwant\n%s", n, problems, c.want)
			}
		})
	}
}

// TestTrustedOwners checks the owner of a file for a process that does not run as
// root.
// Faults: T74.
func TestTrustedOwners(t *testing.T) {
	d := newConfigDir(t)
	d.file("a.toml", 0o644)
	info, err := os.Lstat(d.path("a.toml"))
	d.must(err)
	owner := safefile.OwnerOf(info)
	for uid, trusted := range map[uint32]bool{owner: true, owner + 54321: owner == 0} {
		w := newOwnerChecker()
		w.uid = uid
		if e := w.checkFile("a.toml", info); (e == nil) != trusted {
			t.Errorf("for user %d the owner %d is trusted: %v", uid, owner, e)
		} else if e != nil && !strings.Contains(e.refusal().Error(), "neither root nor user") {
			t.Error(e.refusal())
		}
	}
}

// TestLinksUpwardsAreFollowedAsTheKernelDoes has a link with ".." in a directory
// that is itself found through a link.
// Faults: T74.
func TestLinksUpwardsAreFollowedAsTheKernelDoes(t *testing.T) {
	for _, c := range []struct {
		target   string
		monitors int
		want     string
	}{
		{"../fine/a", 1, ""},
		{"../../open/a", 0, "warning: group or others may write the directory (mode 0777"},
	} {
		d := newConfigDir(t)
		under := filepath.Join(filepath.Dir(d.dir), "real")
		for _, dir := range []string{"", "inner", "inner/conf", "inner/fine", "open"} {
			d.must(os.Mkdir(filepath.Join(under, dir), 0o755))
		}
		for _, file := range []string{"inner/fine/a", "open/a"} {
			d.must(os.WriteFile(filepath.Join(under, file), []byte(commandFile), 0o600))
		}
		d.must(os.Chmod(filepath.Join(under, "open"), 0o777))
		alias := filepath.Join(filepath.Dir(d.dir), "alias")
		d.must(os.Symlink("real/inner", alias))
		d.dir = filepath.Join(alias, "conf")
		d.link(c.target, "a.toml")
		if n, problems := d.load(); n != c.monitors || (problems == "") != (c.want == "") || !strings.Contains(problems, c.want) {
			t.Errorf("%s: %d monitors, problems %s", c.target, n, problems)
		}
	}
}

// TestFileOfTenThousandMonitorsIsRead checks MaxDocument with typical monitors.
// Faults: T74.
func TestFileOfTenThousandMonitorsIsRead(t *testing.T) {
	testkit.SkipIfShort(t)
	const n = 10_000
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `[[monitor]]
name = "checkout of shop %d in the region of the north"
interval = "30s"
timeout = "10s"
failures_before_alert = 3
retry_interval = "5s"
labels = { team = "shops", runbook = "https://wiki.example.org/shops" }
  [monitor.probe]
  type = "http"
  url = "https://shop-%d.example.org/checkout/health"
  header = { Accept = "application/json" }
  [monitor.filter]
  type = "average"
  window = 3
`, i, i)
	}
	file := testkit.NewFile(t, "a.toml", text.String())
	var set monitor.Set
	problems, err := Load(t.Context(), &set, nil, file)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Monitors) != n || len(problems) != 0 {
		t.Errorf("%d bytes: %d monitors, %v", text.Len(), len(set.Monitors), problems)
	}
}
