package monitor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is what the state directory needs of a file system. Tests have one that
// fails, hangs or loses what was not synced.
type disk interface {
	// Create makes a file, or empties it, readable to us only.
	Create(path string) (diskFile, error)
	ReadFile(path string) ([]byte, error)
	Rename(from, to string) error
	// Remove takes a file away. One that is not there is no error.
	Remove(path string) error
	// SyncDir makes sure that what was renamed in a directory stays so.
	SyncDir(path string) error
}

// diskFile is a file that is written.
type diskFile interface {
	Write(b []byte) (int, error)
	Sync() error
	Close() error
}

// osDisk is the real one.
type osDisk struct{}

func (osDisk) Create(path string) (diskFile, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

// ReadFile reads at most maxState and a byte, so that a file that is far too
// large costs no more memory than one that is just so.
func (osDisk) ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxState+1))
}

func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (osDisk) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// replaceFile writes text to path so that, whatever happens, path holds either
// what it held or all of text. What is too large to be read again is not written.
func replaceFile(d disk, path string, text []byte) error {
	if len(text) > maxState {
		return fmt.Errorf("writing %q: %d bytes are more than the %d that are read again", path, len(text), maxState)
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

func writeSynced(d disk, path string, text []byte) error {
	f, err := d.Create(path)
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// maxAside bounds the damaged files that are kept.
const maxAside = 3

// setAside keeps a copy of a damaged file beside it and returns its path. The
// newest copy is number 1; what would be number 4 goes.
func setAside(d disk, path string, text []byte) (string, error) {
	name := func(n int) string { return fmt.Sprintf("%s.corrupt-%d", path, n) }
	for n := maxAside - 1; n >= 1; n-- {
		if err := d.Rename(name(n), name(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if err := writeSynced(d, name(1), text); err != nil {
		return "", errors.Join(err, d.Remove(name(1)))
	}
	return name(1), nil
}
