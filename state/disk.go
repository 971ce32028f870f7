package state

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// MaxSize bounds a file of the state directory, in bytes: 1,000 definitions of
// the largest size that the API takes, twice that in JSON.
const MaxSize = 128 << 20

// Disk is what the state directory needs of a file system. Tests have one that
// fails, hangs or loses what was not synced.
type Disk interface {
	// Create creates or truncates a file that only its owner may read.
	Create(path string) (File, error)
	// ReadFile reads at most MaxSize bytes and one more, so that a file that is far
	// too large costs no more memory than one that is slightly too large.
	ReadFile(path string) ([]byte, error)
	Rename(from, to string) error
	// Remove removes a file. A file that does not exist is no error.
	Remove(path string) error
	// SyncDir makes the renames in a directory durable.
	SyncDir(path string) error
}

// File is a file that is being written.
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
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

// ReadFile implements Disk.
func (OSDisk) ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
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
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Checksum is the CRC-32C of b.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// Replace writes text to path so that, whatever happens, path holds either what
// it held or all of text. It refuses a text that is too large to be read again.
func Replace(d Disk, path string, text []byte) error {
	if len(text) > MaxSize {
		return fmt.Errorf("writing %q: %d bytes, want at most %d", path, len(text), MaxSize)
	}
	tmp := path + ".new"
	err := writeSynced(d, tmp, text)
	if err == nil {
		err = d.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, d.Remove(tmp))
	}
	return d.SyncDir(filepath.Dir(path))
}

func writeSynced(d Disk, path string, text []byte) error {
	f, err := d.Create(path)
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// maxAside bounds the copies of damaged files that are retained.
const maxCopies = 3

// SetAside retains a copy of a damaged file beside it and returns its path. The
// newest copy is number 1; what would be number 4 is dropped.
func SetAside(d Disk, path string, text []byte) (string, error) {
	name := func(n int) string { return fmt.Sprintf("%s.corrupt-%d", path, n) }
	for n := maxCopies - 1; n >= 1; n-- {
		if err := d.Rename(name(n), name(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if err := writeSynced(d, name(1), text); err != nil {
		return "", errors.Join(err, d.Remove(name(1)))
	}
	return name(1), nil
}
