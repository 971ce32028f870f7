package state

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// Files of older versions are read once. Their content is written into the journal, and
// then they are renamed.

// oldSuffix is what the names of such files get.
const oldSuffix = ".old"

// ReadOld passes the content of a file of an older version to decode, as Load does. It
// reports whether there is one.
func (j *Journal) ReadOld(name string, decode func(text []byte) error) (found bool, err error) {
	err = Load(j.disk, filepath.Join(filepath.Dir(j.path), name), decode)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return true, err
}

// RetireOld renames a file of an older version, if there is one. Call it once what the
// file holds is in the journal, and before anything else is acknowledged: until then the
// next start reads it again.
func (j *Journal) RetireOld(name string) error {
	path := filepath.Join(filepath.Dir(j.path), name)
	err := j.disk.Rename(path, path+oldSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = j.disk.SyncDir(filepath.Dir(path))
	}
	return err
}

// Path returns the path of the file.
func (j *Journal) Path() string { return j.path }
