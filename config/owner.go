package config

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/microhq/monitor-srv/document"
)

// Whoever may change a file of monitors, or put another in its place, could run
// commands as this program. So a file, the directories through which it is found
// from the directory that is read on, and its links must be root's or our own,
// and nobody else may write them.

// maxLinks bounds the links that lead to one file, as the kernel does.
const maxLinks = 40

// readOnlyMount is the flag of a mount that nobody can write through: ST_RDONLY,
// elsewhere known as MNT_RDONLY.
const readOnlyMount = 1

// exposure is a file or directory that others than root and our user may change.
type exposure struct {
	path string
	// kind is "file", "directory" or "link".
	kind string
	// before and after the word for what it is say what is wrong with it; remedy
	// is the command that heals it.
	before, after, remedy string
}

// watchman looks for exposures. It remembers the directories that it judged.
type watchman struct {
	uid  uint32 // of this program
	dirs map[string]*exposure
}

func newWatchman() *watchman {
	return &watchman{uid: uint32(os.Geteuid()), dirs: make(map[string]*exposure)}
}

// directories returns the exposed ones of the directories through which a file
// is found: its own, and where it is a link those that the link leads through. It
// ends where there is nothing: reading the file tells of that.
func (w *watchman) directories(file string) []*exposure {
	given := filepath.Dir(file)
	dir, err := filepath.Abs(given)
	if err != nil {
		return nil
	}
	// What is above the directory is not judged, but a link may lead there by "..".
	if above, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil {
		dir = filepath.Join(above, filepath.Base(dir))
	}
	walk := &walk{watchman: w, given: given, from: dir, dir: dir, todo: []string{filepath.Base(file)}}
	if info, err := os.Lstat(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		walk.dir, walk.todo = filepath.Dir(dir), append([]string{filepath.Base(dir)}, walk.todo...)
	} else {
		walk.enter(dir)
	}
	walk.run()
	return walk.found
}

// walk goes the way to one file.
type walk struct {
	*watchman
	given string   // the directory of the file, as its author knows it
	from  string   // the same as an absolute path
	dir   string   // where it stands; no link leads there
	todo  []string // the names to go on with
	links int
	found []*exposure
}

func (w *walk) run() {
	for len(w.todo) > 0 {
		name := w.todo[0]
		w.todo = w.todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			w.enter(filepath.Dir(w.dir))
			continue
		}
		path := filepath.Join(w.dir, name)
		info, err := os.Lstat(path)
		switch {
		case err != nil:
			return
		case info.IsDir():
			w.enter(path)
		case info.Mode()&fs.ModeSymlink != 0:
			if !w.follow(path, info) {
				return
			}
		}
	}
}

func (w *walk) follow(link string, info fs.FileInfo) bool {
	target, err := os.Readlink(link)
	if w.links++; err != nil || w.links > maxLinks {
		return false
	}
	w.add(w.owned(w.shown(link), info))
	w.enter(w.dir)
	if filepath.IsAbs(target) {
		w.enter("/")
	}
	w.todo = append(strings.Split(target, "/"), w.todo...)
	return true
}

// enter goes into a directory and judges it.
func (w *walk) enter(dir string) {
	w.dir = dir
	e, known := w.dirs[dir]
	if !known {
		if info, err := os.Lstat(dir); err == nil {
			e = w.directory(dir, w.shown(dir), info)
		}
		w.dirs[dir] = e
	}
	w.add(e)
}

// shown returns a path as the author of the file knows it.
func (w *walk) shown(path string) string {
	if rest, ok := strings.CutPrefix(path, w.from); ok && (rest == "" || rest[0] == '/') {
		return filepath.Join(w.given, rest)
	}
	return path
}

func (w *walk) add(e *exposure) {
	if e != nil && !slices.Contains(w.found, e) {
		w.found = append(w.found, e)
	}
}

// directory judges a directory. In one with the sticky bit, such as /tmp, nobody
// can replace the files of others; what they add belongs to them. Kubernetes
// mounts its directories with mode 0777, and files of any mode, read-only.
func (w *watchman) directory(dir, shown string, info fs.FileInfo) *exposure {
	e := w.owned(shown, info)
	if e != nil || info.Mode()&fs.ModeSticky != 0 || info.Mode().Perm()&0o022 == 0 || onReadOnlyMount(dir) {
		return e
	}
	return writable(shown, "directory", info)
}

// file judges a file that was read.
func (w *watchman) file(path string, info fs.FileInfo) *exposure {
	e := w.owned(path, info)
	if e == nil && info.Mode().Perm()&0o022 != 0 && !onReadOnlyMount(path) {
		e = writable(path, "file", info)
	}
	return e
}

func writable(path, kind string, info fs.FileInfo) *exposure {
	return &exposure{
		path: path, kind: kind,
		before: "group or others may write ",
		after:  fmt.Sprintf(" (mode %04o, owner %s)", info.Mode().Perm(), userName(ownerOf(info))),
		remedy: "chmod go-w " + path,
	}
}

// owned judges the owner.
func (w *watchman) owned(path string, info fs.FileInfo) *exposure {
	uid := ownerOf(info)
	if uid == 0 || uid == w.uid {
		return nil
	}
	kind, chown := "file", "chown"
	switch {
	case info.IsDir():
		kind = "directory"
	case info.Mode()&fs.ModeSymlink != 0:
		kind, chown = "link", "chown -h"
	}
	whoMay := "not root"
	if w.uid != 0 {
		whoMay = "neither root nor " + userName(w.uid) + ", who runs this"
	}
	return &exposure{
		path: path, kind: kind,
		before: "the owner of ",
		after:  fmt.Sprintf(" is %s, %s", userName(uid), whoMay),
		remedy: fmt.Sprintf("%s root %s", chown, path),
	}
}

func ownerOf(info fs.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Uid
	}
	return 0
}

// userName returns the name of a user, or the number of one without a name.
func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}

func onReadOnlyMount(path string) bool {
	var st syscall.Statfs_t
	return syscall.Statfs(path, &st) == nil && st.Flags&readOnlyMount != 0
}

// warning tells of it where it is, once.
func (e *exposure) warning() *document.Problem {
	whose := "its exec probes and actions"
	if e.kind != "file" {
		whose = "exec probes and actions of files that are found through it"
	}
	return &document.Problem{
		File: e.path, Warning: true,
		Err: fmt.Errorf("%sthe %s%s: %s are refused; %q heals it", e.before, e.kind, e.after, whose, e.remedy),
	}
}

// refusal says why a command is refused.
func (e *exposure) refusal() error {
	what := "the " + e.kind
	if e.kind != "file" {
		what += " " + e.path
	}
	return fmt.Errorf("exec is refused: %s%s%s", e.before, what, e.after)
}
