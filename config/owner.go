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
type insecurePath struct {
	path string
	// kind is "file", "directory" or "link".
	kind string
	// before and after the word for what it is say what is wrong with it; remedy
	// is the command that heals it.
	before, after, remedy string
}

// watchman looks for exposures. It remembers the directories that it judged.
type ownerChecker struct {
	uid  uint32 // of this program
	dirs map[string]*insecurePath
}

func newOwnerChecker() *ownerChecker {
	return &ownerChecker{uid: uint32(os.Geteuid()), dirs: make(map[string]*insecurePath)}
}

// directories returns the exposed ones of the directories through which a file
// is found: its own, and where it is a link those that the link leads through. It
// ends where there is nothing: reading the file tells of that.
func (w *ownerChecker) checkDirectories(file string) []*insecurePath {
	given := filepath.Dir(file)
	dir, err := filepath.Abs(given)
	if err != nil {
		return nil
	}
	// What is above the directory is not judged, but a link may lead there by "..".
	if above, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil {
		dir = filepath.Join(above, filepath.Base(dir))
	}
	walk := &pathWalk{ownerChecker: w, given: given, absolute: dir, dir: dir, remaining: []string{filepath.Base(file)}}
	if info, err := os.Lstat(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		walk.dir, walk.remaining = filepath.Dir(dir), append([]string{filepath.Base(dir)}, walk.remaining...)
	} else {
		walk.enter(dir)
	}
	walk.run()
	return walk.insecure
}

// walk goes the way to one file.
type pathWalk struct {
	*ownerChecker
	given     string   // the directory of the file, as its author knows it
	absolute  string   // the same as an absolute path
	dir       string   // where it stands; no link leads there
	remaining []string // the names to go on with
	links     int
	insecure  []*insecurePath
}

func (w *pathWalk) run() {
	for len(w.remaining) > 0 {
		name := w.remaining[0]
		w.remaining = w.remaining[1:]
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

func (w *pathWalk) follow(link string, info fs.FileInfo) bool {
	target, err := os.Readlink(link)
	if w.links++; err != nil || w.links > maxLinks {
		return false
	}
	w.add(w.checkOwner(w.displayPath(link), info))
	w.enter(w.dir)
	if filepath.IsAbs(target) {
		w.enter("/")
	}
	w.remaining = append(strings.Split(target, "/"), w.remaining...)
	return true
}

// enter goes into a directory and judges it.
func (w *pathWalk) enter(dir string) {
	w.dir = dir
	e, known := w.dirs[dir]
	if !known {
		if info, err := os.Lstat(dir); err == nil {
			e = w.checkDirectory(dir, w.displayPath(dir), info)
		}
		w.dirs[dir] = e
	}
	w.add(e)
}

// shown returns a path as the author of the file knows it.
func (w *pathWalk) displayPath(path string) string {
	if rest, ok := strings.CutPrefix(path, w.absolute); ok && (rest == "" || rest[0] == '/') {
		return filepath.Join(w.given, rest)
	}
	return path
}

func (w *pathWalk) add(e *insecurePath) {
	if e != nil && !slices.Contains(w.insecure, e) {
		w.insecure = append(w.insecure, e)
	}
}

// directory judges a directory. In one with the sticky bit, such as /tmp, nobody
// can replace the files of others; what they add belongs to them. Kubernetes
// mounts its directories with mode 0777, and files of any mode, read-only.
func (w *ownerChecker) checkDirectory(dir, shown string, info fs.FileInfo) *insecurePath {
	e := w.checkOwner(shown, info)
	if e != nil || info.Mode()&fs.ModeSticky != 0 || info.Mode().Perm()&0o022 == 0 || onReadOnlyMount(dir) {
		return e
	}
	return writablePath(shown, "directory", info)
}

// file judges a file that was read.
func (w *ownerChecker) checkFile(path string, info fs.FileInfo) *insecurePath {
	e := w.checkOwner(path, info)
	if e == nil && info.Mode().Perm()&0o022 != 0 && !onReadOnlyMount(path) {
		e = writablePath(path, "file", info)
	}
	return e
}

func writablePath(path, kind string, info fs.FileInfo) *insecurePath {
	return &insecurePath{
		path: path, kind: kind,
		before: "group or others may write ",
		after:  fmt.Sprintf(" (mode %04o, owner %s)", info.Mode().Perm(), userName(ownerOf(info))),
		remedy: "chmod go-w " + path,
	}
}

// owned judges the owner.
func (w *ownerChecker) checkOwner(path string, info fs.FileInfo) *insecurePath {
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
	return &insecurePath{
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
func (e *insecurePath) warning() *document.Problem {
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
func (e *insecurePath) refusal() error {
	what := "the " + e.kind
	if e.kind != "file" {
		what += " " + e.path
	}
	return fmt.Errorf("exec is refused: %s%s%s", e.before, what, e.after)
}
