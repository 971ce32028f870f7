package safefile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// namesAtOnce is how many names of a directory are read at a time.
const namesAtOnce = 1024

// OpenDir opens a directory.
func OpenDir(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENOTDIR) {
		if info, statErr := os.Stat(path); statErr == nil {
			kind := kindOf(info.Mode())
			if info.Mode().IsRegular() {
				kind = "a file"
			}
			err = fmt.Errorf("not a directory but %s: give the path of a directory", kind)
		}
	}
	if err != nil {
		return nil, explain("open", path, err)
	}
	return f, nil
}

// OpenRoot opens a directory, also as the root of what is opened in it.
func OpenRoot(path string) (*os.Root, *os.File, error) {
	f, err := OpenDir(path)
	if err != nil {
		return nil, nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, nil, errors.Join(explain("open", path, err), f.Close())
	}
	there, err := root.Stat(".")
	held, heldErr := f.Stat()
	if err == nil && heldErr == nil && os.SameFile(there, held) {
		return root, f, nil
	}
	err = cmp.Or(err, heldErr, errors.New("the directory was replaced while it was opened"))
	return nil, nil, errors.Join(explain("open", path, err), f.Close(), root.Close())
}

// Names returns the names in a directory for which want returns true, sorted. It
// stops reading at the limit; more is true if there are more.
func Names(path string, limit int, want func(name string) bool) (names []string, more bool, err error) {
	dir, err := OpenDir(path)
	if err != nil {
		return nil, false, err
	}
	defer dir.Close()
	for !more {
		some, err := dir.Readdirnames(namesAtOnce)
		for _, name := range some {
			if want(name) {
				names = append(names, name)
			}
		}
		more = len(names) > limit
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, false, explain("read", path, err)
		}
	}
	slices.Sort(names)
	return names[:min(limit, len(names))], more, nil
}

// Create creates a file that only its owner may access, in place of whatever has the
// path, and opens it for writing.
func Create(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}
