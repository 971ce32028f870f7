package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/microhq/monitor-srv/safefile"
)

// lookInterval is the time between two looks at the directory.
const lookInterval = time.Second

// Dir is the Disk of one state directory, which is locked for this process. It writes
// in that directory only, also if it is renamed and another one takes its place.
type Dir struct {
	OSDisk
	path string
	root *os.Root
	held *os.File // the directory, with the lock
	log  *slog.Logger

	mu     sync.Mutex
	health Health // guarded by mu
}

var _ Disk = (*Dir)(nil)

// ErrMoved says that the path of a Dir leads to another directory, or to none.
var ErrMoved = errors.New("the directory was moved or replaced while this process uses it: nothing is written until it is back")

// OpenDir opens and locks a state directory, which it creates with mode 0700 if it is
// not there: two processes would overwrite each other's files. A directory of somebody
// else is refused, because its owner could register monitors. The mode of one of ours
// is repaired.
func OpenDir(path string, log *slog.Logger) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("creating the state directory %q: %w", path, err)
	}
	root, held, err := safefile.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("locking the state directory: %w", err)
	}
	d := &Dir{path: path, root: root, held: held, log: log, health: Health{OK: true, Since: time.Now()}}
	if err = syscall.Flock(int(held.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		err = errors.New("another process uses it")
	}
	if err != nil {
		err = fmt.Errorf("locking the state directory %q: %w", path, err)
	} else if err = d.secure(); err != nil {
		err = fmt.Errorf("the state directory %q: %w", path, safefile.WithoutPath(err))
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// secure checks the owner of the directory and takes the rights of others away.
func (d *Dir) secure() error {
	info, err := d.held.Stat()
	if err != nil {
		return err
	}
	mode := info.Mode().Perm()
	if open := mode & 0o077; open == 0 || int(safefile.OwnerOf(info)) != os.Geteuid() {
		return safefile.CheckTrust(d.path, info, 0o022)
	}
	if err := d.held.Chmod(0o700); err != nil {
		return errors.Join(safefile.CheckTrust(d.path, info, 0o022), ignoreReadOnly(err))
	}
	log := d.log.Info
	if mode&0o022 != 0 {
		log = d.log.Warn
	}
	log("group and others had rights on the state directory: its mode is now 0700", "directory", d.path, "mode", fmt.Sprintf("%04o", mode))
	return nil
}

// ignoreReadOnly returns err unless it says that nothing can change.
func ignoreReadOnly(err error) error {
	if errors.Is(err, syscall.EROFS) {
		return nil
	}
	return err
}

// Run looks every second whether the directory is where it was, so that an instance
// that writes nothing notices too.
func (d *Dir) Run(ctx context.Context) error {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = d.check()
		case <-ctx.Done():
			return nil
		}
	}
}

// look returns ErrMoved unless the path still leads to the directory.
func (d *Dir) look() error {
	ours, err := d.held.Stat()
	if err != nil {
		return fmt.Errorf("looking at the state directory: %w", err)
	}
	there, err := os.Stat(d.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(ours, there) {
		err = ErrMoved
	}
	if err != nil {
		return fmt.Errorf("the state directory %q: %w", d.path, err)
	}
	return nil
}

// check is look. It also stores the result for Health and logs each change.
func (d *Dir) check() error {
	err := d.look()
	d.mu.Lock()
	defer d.mu.Unlock()
	if ok := err == nil; ok != d.health.OK {
		d.health = Health{OK: ok, Since: time.Now()}
		if ok {
			d.log.Info("the state directory is back", "directory", d.path)
		} else {
			d.log.Error("the state directory cannot be written", "err", err)
		}
	}
	if err != nil {
		d.health.Reason = err.Error()
	}
	return err
}

// Health reports whether the directory was where it belongs when it was last looked
// at. It does not wait for the disk.
func (d *Dir) Health() Health {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.health
}

// name returns the name of a file in the directory.
func (d *Dir) name(path string) (string, error) { return filepath.Base(path), d.check() }

// Create implements Disk.
func (d *Dir) Create(path string) (File, error) {
	name, err := d.name(path)
	if err != nil {
		return nil, err
	}
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return dirFile{f, d}, nil
}

// dirFile is a file of a Dir. Nothing is appended to it while the directory is not
// where it belongs.
type dirFile struct {
	*os.File
	dir *Dir
}

// Write implements File.
func (f dirFile) Write(b []byte) (int, error) {
	if err := f.dir.check(); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

// Rename implements Disk.
func (d *Dir) Rename(from, to string) error {
	name, err := d.name(from)
	if err != nil {
		return err
	}
	return d.root.Rename(name, filepath.Base(to))
}

// Remove implements Disk. It leaves a directory alone that took the place of this one.
func (d *Dir) Remove(path string) error {
	name, err := d.name(path)
	if err == nil {
		err = d.root.Remove(name)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrMoved) {
		return nil
	}
	return err
}

// SyncDir implements Disk.
func (d *Dir) SyncDir(string) error { return d.held.Sync() }

// Close releases the lock.
func (d *Dir) Close() error { return errors.Join(d.held.Close(), d.root.Close()) }
