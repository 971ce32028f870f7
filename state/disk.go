package state

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/microhq/monitor-srv/safefile"
)

// MaxSize is the largest size of a file of an older version, in bytes: 1,000 definitions
// of 64 KiB, which JSON may double.
const MaxSize = 128 << 20

// MaxStream is the largest size of a file that is read record by record, in bytes.
const MaxStream = 8 << 30

// Disk is the file system of the state directory. Tests use one that fails, hangs or
// loses what was not synced.
type Disk interface {
	// Create creates or truncates a file that only its owner may read.
	Create(path string) (File, error)
	// ReadFile fails with safefile.ErrTooLarge for more than MaxSize bytes.
	ReadFile(path string) ([]byte, error)
	// Open opens a file for reading. It fails with safefile.ErrTooLarge for more than
	// MaxStream bytes.
	Open(path string) (io.ReadCloser, error)
	Rename(from, to string) error
	// Remove removes a file. A missing file is not an error.
	Remove(path string) error
	// SyncDir makes the renames in a directory durable.
	SyncDir(path string) error
}

// File is a file open for writing.
type File interface {
	Write(b []byte) (int, error)
	Sync() error
	Close() error
}

// OSDisk is the Disk of the operating system.
type OSDisk struct{}

var _ Disk = OSDisk{}

// Create implements Disk.
func (OSDisk) Create(path string) (File, error) {
	return safefile.Create(path)
}

// ReadFile implements Disk. It does not read a file that others own or may write, and
// takes the right to read it from others.
func (OSDisk) ReadFile(path string) ([]byte, error) {
	return safefile.ReadOwn(path, MaxSize)
}

// Open implements Disk. It trusts files as ReadFile does.
func (OSDisk) Open(path string) (io.ReadCloser, error) {
	return safefile.OpenOwn(path, MaxStream)
}

// Rename implements Disk.
func (OSDisk) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements Disk.
func (OSDisk) Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SyncDir implements Disk.
func (OSDisk) SyncDir(path string) error {
	d, err := safefile.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
