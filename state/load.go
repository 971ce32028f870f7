package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/microhq/monitor-srv/safefile"
)

// NewerError says that a newer program has written a file.
type NewerError struct {
	// Reason is what this program does not know.
	Reason string
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("a newer monitor-srv has written it: %s: install that version again, or move the file away", e.Reason)
}

// DamagedError says that something of a file is lost or not believed.
type DamagedError struct {
	Path string
	// Aside is where the file was set aside, or empty if there is no room.
	Aside string
	Err   error
}

func (e *DamagedError) Error() string {
	aside := fmt.Sprintf("it was set aside as %q", e.Aside)
	if e.Aside == "" {
		aside = "it could not be set aside, and the next change replaces it"
	}
	return fmt.Sprintf("reading %q: %v; %s", e.Path, e.Err, aside)
}

// Unwrap returns what is wrong.
func (e *DamagedError) Unwrap() error { return e.Err }

// Load passes the content of a file to decode. If decode fails, a copy is set aside and
// the error is a *DamagedError, or the *NewerError that decode returned: then the
// file stays as it is. A file that is too large, or that others own or may write, is
// set aside unread.
func Load(d Disk, path string, decode func(text []byte) error) error {
	text, err := d.ReadFile(path)
	if errors.Is(err, safefile.ErrTooLarge) || errors.Is(err, safefile.ErrUntrusted) {
		aside, asideErr := MoveAside(d, path)
		return &DamagedError{Path: path, Aside: aside, Err: errors.Join(safefile.WithoutPath(err), asideErr)}
	}
	if err != nil {
		return err
	}
	err = decode(text)
	var newer *NewerError
	if errors.As(err, &newer) {
		return fmt.Errorf("reading %q: %w", path, err)
	}
	if err != nil {
		aside, asideErr := CopyAside(d, path)
		return &DamagedError{Path: path, Aside: aside, Err: errors.Join(err, asideErr)}
	}
	return nil
}

// maxCopies bounds the copies of a damaged file.
const maxCopies = 3

func copyName(path string, n int) string { return fmt.Sprintf("%s.corrupt-%d", path, n) }

// rotate makes room for the newest copy of a damaged file, which has number 1. Copies
// beyond maxCopies are dropped.
func rotate(d Disk, path string) error {
	for n := maxCopies - 1; n >= 1; n-- {
		if err := d.Rename(copyName(path, n), copyName(path, n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// CopyAside writes a copy of a damaged file beside it and returns the path of the copy.
func CopyAside(d Disk, path string) (string, error) {
	if err := rotate(d, path); err != nil {
		return "", err
	}
	if err := copyFile(d, path, copyName(path, 1)); err != nil {
		return "", errors.Join(err, d.Remove(copyName(path, 1)))
	}
	return copyName(path, 1), nil
}

func copyFile(d Disk, from, to string) error {
	in, err := d.Open(from)
	if err != nil {
		return err
	}
	out, err := d.Create(to)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	if _, err = io.Copy(out, in); err == nil {
		err = out.Sync()
	}
	return errors.Join(err, in.Close(), out.Close())
}

// MoveAside renames a file as CopyAside names its copy.
func MoveAside(d Disk, path string) (string, error) {
	err := rotate(d, path)
	if err == nil {
		err = d.Rename(path, copyName(path, 1))
	}
	if err != nil {
		return "", err
	}
	return copyName(path, 1), nil
}
