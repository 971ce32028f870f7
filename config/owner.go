package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/safefile"
)

// Whoever can change or replace a configuration file could run commands as the user
// of this process. So a file, its links and the directories on the way to it, from
// the configured directory on, must belong to root or that user, and nobody else may
// write them.

// maxLinks bounds the symbolic links on the way to a file, as the kernel does.
const maxLinks = 40

// readOnlyMount is the flag of a read-only mount: ST_RDONLY or MNT_RDONLY.
const readOnlyMount = 1

// insecurePath is a file or directory that users other than root and ours can change.
type insecurePath struct {
	path string
	// kind is "file", "directory" or "link".
	kind string
	// reason is the sentence about it, with %s for the subject. remedy is the command
	// that fixes it.
	reason, remedy string
}

// ownerChecker finds insecure paths. It caches the result for directories.
type ownerChecker struct {
	uid  uint32 // of this program
	dirs map[string]*insecurePath
}

func newOwnerChecker() *ownerChecker {
	return &ownerChecker{uid: uint32(os.Geteuid()), dirs: make(map[string]*insecurePath)}
}

// checkDirectories returns the insecure directories and links on the way to a file.
// It ignores paths that do not exist, which reading the file reports.
func (c *ownerChecker) checkDirectories(file string) []*insecurePath {
	given := filepath.Dir(file)
	dir, err := filepath.Abs(given)
	if err != nil {
		return nil
	}
	// Directories above the given one are not checked unless a link leads there.
	if above, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil {
		dir = filepath.Join(above, filepath.Base(dir))
	}
	walk := &pathWalk{ownerChecker: c, given: given, absolute: dir, dir: dir, remaining: []string{filepath.Base(file)}}
	if info, err := os.Lstat(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		walk.dir, walk.remaining = filepath.Dir(dir), append([]string{filepath.Base(dir)}, walk.remaining...)
	} else {
		walk.enter(dir)
	}
	walk.run()
	return walk.insecure
}

// pathWalk resolves the path of one file and checks each step.
type pathWalk struct {
	*ownerChecker
	given     string   // the directory of the file, as configured
	absolute  string   // the same as an absolute path
	dir       string   // the current directory, without links
	remaining []string // the names that are not resolved yet
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

// enter changes to a directory and checks it.
func (w *pathWalk) enter(dir string) {
	w.dir = dir
	p, known := w.dirs[dir]
	if !known {
		if info, err := os.Lstat(dir); err == nil {
			p = w.checkDirectory(dir, w.displayPath(dir), info)
		}
		w.dirs[dir] = p
	}
	w.add(p)
}

// displayPath returns a path relative to the directory as configured.
func (w *pathWalk) displayPath(path string) string {
	if rest, ok := strings.CutPrefix(path, w.absolute); ok && (rest == "" || rest[0] == '/') {
		return filepath.Join(w.given, rest)
	}
	return path
}

func (w *pathWalk) add(p *insecurePath) {
	if p != nil && !slices.Contains(w.insecure, p) {
		w.insecure = append(w.insecure, p)
	}
}

// checkDirectory checks a directory. In a directory with the sticky bit, such as
// /tmp, users cannot replace the files of others, and own what they add. Kubernetes
// mounts directories with mode 0777 read-only.
func (c *ownerChecker) checkDirectory(dir, shown string, info fs.FileInfo) *insecurePath {
	p := c.checkOwner(shown, info)
	if p != nil || info.Mode()&fs.ModeSticky != 0 || info.Mode().Perm()&0o022 == 0 || onReadOnlyMount(dir) {
		return p
	}
	return writablePath(shown, "directory", info)
}

// checkFile checks an open file.
func (c *ownerChecker) checkFile(path string, info fs.FileInfo) *insecurePath {
	p := c.checkOwner(path, info)
	if p == nil && info.Mode().Perm()&0o022 != 0 && !onReadOnlyMount(path) {
		p = writablePath(path, "file", info)
	}
	return p
}

func writablePath(path, kind string, info fs.FileInfo) *insecurePath {
	return &insecurePath{
		path: path, kind: kind,
		reason: fmt.Sprintf("group or others may write %%s (mode %04o, owner %s)", info.Mode().Perm(), safefile.UserName(safefile.OwnerOf(info))),
		remedy: "chmod go-w " + path,
	}
}

// checkOwner checks the owner only.
func (c *ownerChecker) checkOwner(path string, info fs.FileInfo) *insecurePath {
	uid := safefile.OwnerOf(info)
	if uid == 0 || uid == c.uid {
		return nil
	}
	kind, chown := "file", "chown"
	switch {
	case info.IsDir():
		kind = "directory"
	case info.Mode()&fs.ModeSymlink != 0:
		kind, chown = "link", "chown -h"
	}
	want := "not root"
	if c.uid != 0 {
		want = "neither root nor " + safefile.UserName(c.uid) + ", the user of this process"
	}
	return &insecurePath{
		path: path, kind: kind,
		reason: fmt.Sprintf("the owner of %%s is %s, %s", safefile.UserName(uid), want),
		remedy: fmt.Sprintf("%s root %s", chown, path),
	}
}

func onReadOnlyMount(path string) bool {
	var st syscall.Statfs_t
	return syscall.Statfs(path, &st) == nil && st.Flags&readOnlyMount != 0
}

// warning returns the problem of the path itself, with the remedy.
func (p *insecurePath) warning() *document.Problem {
	refused := "its exec probes and actions"
	if p.kind != "file" {
		refused = "exec probes and actions of files found through it"
	}
	return &document.Problem{
		File: p.path, Warning: true,
		Err: fmt.Errorf("%s: %s are refused; to fix it, run %q", p.describe("the "+p.kind), refused, p.remedy),
	}
}

// refusal returns the error for each command of the files behind the path.
func (p *insecurePath) refusal() error {
	subject := "the " + p.kind
	if p.kind != "file" {
		subject += " " + p.path
	}
	return fmt.Errorf("exec is refused: %s", p.describe(subject))
}

func (p *insecurePath) describe(subject string) string {
	return strings.Replace(p.reason, "%s", subject, 1)
}
