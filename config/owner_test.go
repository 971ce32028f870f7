package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/monitor"
)

// guarded is a directory with one file that runs a command.
type configDir struct {
	t   *testing.T
	dir string
}

const commandFile = "[[monitor]]\nname = \"m\"\n[monitor.probe]\ntype = \"exec\"\ncommand = \"/bin/true\"\n"

// newGuarded returns a directory of which nothing is wrong, but the file of
// which is only made by file or link.
func newConfigDir(t *testing.T) *configDir {
	t.Helper()
	g := &configDir{t, filepath.Join(t.TempDir(), "conf")}
	g.mkdir("", 0o755)
	return g
}

func (g *configDir) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *configDir) path(name string) string { return filepath.Join(g.dir, name) }

func (g *configDir) chmod(name string, mode os.FileMode) {
	g.t.Helper()
	g.must(os.Chmod(g.path(name), mode))
}

func (g *configDir) mkdir(name string, mode os.FileMode) {
	g.t.Helper()
	g.must(os.Mkdir(g.path(name), 0o700))
	g.chmod(name, mode)
}

func (g *configDir) file(name string, mode os.FileMode) {
	g.t.Helper()
	g.must(os.WriteFile(g.path(name), []byte(commandFile), 0o600))
	g.chmod(name, mode)
}

func (g *configDir) link(target, name string) { g.t.Helper(); g.must(os.Symlink(target, g.path(name))) }

// chown gives a file or link away, if the test may do that.
func (g *configDir) chown(name string) {
	g.t.Helper()
	g.must(os.Lchown(g.path(name), otherUser, -1))
}

// stranger is the id of a user who is neither root nor runs the test.
const otherUser = 54321

// loads reads the directory and returns all that is wrong, "DIR" for its path.
func (g *configDir) load() (monitors int, said string) {
	g.t.Helper()
	var set monitor.Set
	problems := Load(&set, nil, g.dir)
	var all []string
	for _, p := range problems {
		all = append(all, strings.ReplaceAll(p.Error(), g.dir, "DIR"))
	}
	said = strings.Join(all, "\n")
	return len(set.Monitors), strings.ReplaceAll(said, "owner "+userName(uint32(os.Geteuid())), "owner US")
}

// What only root and our user may change runs commands, links included.
// Faults: T74.
func TestGuardedFilesRunCommands(t *testing.T) {
	for name, make := range map[string]func(*configDir){
		"a file":           func(g *configDir) { g.file("a.toml", 0o644) },
		"a private one":    func(g *configDir) { g.file("a.toml", 0o400); g.chmod("", 0o700) },
		"a shared sticky":  func(g *configDir) { g.file("a.toml", 0o644); g.chmod("", 0o777|os.ModeSticky) },
		"a relative link":  func(g *configDir) { g.mkdir("sub", 0o755); g.file("sub/a", 0o644); g.link("./sub/../sub/a", "a.toml") },
		"an absolute link": func(g *configDir) { g.file("a", 0o644); g.link(g.path("a"), "a.toml") },
		"Kubernetes": func(g *configDir) {
			g.mkdir("..2026_01_01", 0o755)
			g.file("..2026_01_01/a.toml", 0o644)
			g.link("..2026_01_01", "..data")
			g.link("..data/a.toml", "a.toml")
		},
		"a linked directory": func(g *configDir) {
			g.must(os.Rename(g.dir, g.dir+"-1"))
			g.must(os.Symlink("conf-1", g.dir))
			g.file("a.toml", 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newConfigDir(t)
			make(g)
			if n, said := g.load(); n != 1 || said != "" {
				t.Errorf("%d monitors: %s", n, said)
			}
		})
	}
}

// What others may write is read, but runs no command.
// Faults: T74.
func TestFilesThatOthersMayWriteRunNoCommand(t *testing.T) {
	const through = "exec probes and actions of files found through it are refused"
	for name, c := range map[string]struct {
		make func(*configDir)
		want string
	}{
		"the file": {
			func(g *configDir) { g.chmod("a.toml", 0o664) },
			`DIR/a.toml: warning: group or others may write the file (mode 0664, owner US): its exec probes and actions are refused; to fix it, run "chmod go-w DIR/a.toml"
DIR/a.toml:1: monitor "m": exec is refused: group or others may write the file (mode 0664, owner US)`,
		},
		"the directory": {
			func(g *configDir) { g.chmod("", 0o777) },
			`DIR: warning: group or others may write the directory (mode 0777, owner US): ` + through + `; to fix it, run "chmod go-w DIR"
DIR/a.toml:1: monitor "m": exec is refused: group or others may write the directory DIR (mode 0777, owner US)`,
		},
		"the target of a link": {
			func(g *configDir) {
				g.must(os.Rename(g.path("a.toml"), g.path("target")))
				g.chmod("target", 0o666)
				g.link("target", "a.toml")
			},
			`DIR/a.toml: warning: group or others may write the file (mode 0666, owner US): its exec probes and actions are refused; to fix it, run "chmod go-w DIR/a.toml"
DIR/a.toml:1: monitor "m": exec is refused: group or others may write the file (mode 0666, owner US)`,
		},
		"the directory that a link leads through": {
			func(g *configDir) {
				g.mkdir("sub", 0o775)
				g.mkdir("sub/inner", 0o755)
				g.must(os.Rename(g.path("a.toml"), g.path("sub/inner/a")))
				g.link("sub/inner/a", "a.toml")
			},
			`DIR/a.toml:1: monitor "m": exec is refused: group or others may write the directory DIR/sub (mode 0775, owner US)
DIR/sub: warning: group or others may write the directory (mode 0775, owner US): ` + through + `; to fix it, run "chmod go-w DIR/sub"`,
		},
		"the directory in which the directory is a link": {
			func(g *configDir) {
				g.must(os.Rename(g.dir, g.dir+"-1"))
				g.must(os.Symlink("conf-1", g.dir))
				g.chmod("..", 0o777)
			},
			fmt.Sprintf(`DIR-PARENT: warning: group or others may write the directory (mode 0777, owner US): %s; to fix it, run "chmod go-w DIR-PARENT"
DIR/a.toml:1: monitor "m": exec is refused: group or others may write the directory DIR-PARENT (mode 0777, owner US)`, through),
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newConfigDir(t)
			g.file("a.toml", 0o644)
			c.make(g)
			n, said := g.load()
			if said = strings.ReplaceAll(said, filepath.Dir(g.dir), "DIR-PARENT"); n != 0 || said != c.want {
				t.Errorf("%d monitors, said\n%s\nwant\n%s", n, said, c.want)
			}
		})
	}
}

// What is told of a directory is told once, and what runs no command runs.
// Faults: T74.
func TestExposedDirectoryIsReportedOnce(t *testing.T) {
	g := newConfigDir(t)
	for i := range 3 {
		text := strings.NewReplacer(`"m"`, fmt.Sprintf(`"m%d"`, i), `"exec"`, `"tcp"`, "command", "address").Replace(commandFile)
		g.must(os.WriteFile(g.path(fmt.Sprintf("%d.toml", i)), []byte(text), 0o600))
	}
	g.chmod("", 0o777)
	if n, said := g.load(); n != 3 || strings.Count(said, "warning") != 1 || strings.Count(said, "\n") != 0 {
		t.Errorf("%d monitors: %s", n, said)
	}
}

// Files of somebody who is neither root nor our user run no command.
// Faults: T74.
func TestFilesOfOtherUsersRunNoCommand(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, NOT PROVEN: only root may give files to another user")
	}
	for name, c := range map[string]struct {
		make func(*configDir)
		want string
	}{
		"the file": {
			func(g *configDir) { g.chown("a.toml") },
			`DIR/a.toml: warning: the owner of the file is user 54321, not root: its exec probes and actions are refused; to fix it, run "chown root DIR/a.toml"
DIR/a.toml:1: monitor "m": exec is refused: the owner of the file is user 54321, not root`,
		},
		"the directory": {
			func(g *configDir) { g.chown("") },
			`DIR: warning: the owner of the directory is user 54321, not root: exec probes and actions of files found through it are refused; to fix it, run "chown root DIR"
DIR/a.toml:1: monitor "m": exec is refused: the owner of the directory DIR is user 54321, not root`,
		},
		"the link": {
			func(g *configDir) {
				g.must(os.Rename(g.path("a.toml"), g.path("target")))
				g.link("target", "a.toml")
				g.chown("a.toml")
			},
			`DIR/a.toml: warning: the owner of the link is user 54321, not root: exec probes and actions of files found through it are refused; to fix it, run "chown -h root DIR/a.toml"
DIR/a.toml:1: monitor "m": exec is refused: the owner of the link DIR/a.toml is user 54321, not root`,
		},
		"the target": {
			func(g *configDir) {
				g.must(os.Rename(g.path("a.toml"), g.path("target")))
				g.link("target", "a.toml")
				g.chown("target")
			},
			`DIR/a.toml: warning: the owner of the file is user 54321, not root: its exec probes and actions are refused; to fix it, run "chown root DIR/a.toml"
DIR/a.toml:1: monitor "m": exec is refused: the owner of the file is user 54321, not root`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newConfigDir(t)
			g.file("a.toml", 0o644)
			c.make(g)
			if n, said := g.load(); n != 0 || said != c.want {
				t.Errorf("%d monitors, said\n%s\nwant\n%s", n, said, c.want)
			}
		})
	}
}

// Who is trusted besides root, as a user who is not root sees it.
// Faults: T74.
func TestTrustedOwners(t *testing.T) {
	g := newConfigDir(t)
	g.file("a.toml", 0o644)
	info, err := os.Lstat(g.path("a.toml"))
	g.must(err)
	owner := ownerOf(info)
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

// Where a link leads upwards from a directory that is found through a link, the
// directories that the kernel goes through are judged.
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
		g := newConfigDir(t)
		under := filepath.Join(filepath.Dir(g.dir), "real")
		for _, dir := range []string{"", "inner", "inner/conf", "inner/fine", "open"} {
			g.must(os.Mkdir(filepath.Join(under, dir), 0o755))
		}
		for _, file := range []string{"inner/fine/a", "open/a"} {
			g.must(os.WriteFile(filepath.Join(under, file), []byte(commandFile), 0o600))
		}
		g.must(os.Chmod(filepath.Join(under, "open"), 0o777))
		alias := filepath.Join(filepath.Dir(g.dir), "alias")
		g.must(os.Symlink("real/inner", alias))
		g.dir = filepath.Join(alias, "conf")
		g.link(c.target, "a.toml")
		if n, said := g.load(); n != c.monitors || (said == "") != (c.want == "") || !strings.Contains(said, c.want) {
			t.Errorf("%s: %d monitors, said %s", c.target, n, said)
		}
	}
}
