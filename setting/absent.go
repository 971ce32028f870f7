package setting

import (
	"errors"
	"io/fs"
)

// ErrAbsent is the error of a file or variable with a secret or certificate that does
// not exist, as on a machine that only checks monitor files.
var ErrAbsent = errors.New("a secret is absent")

// absent is an ErrAbsent with the text of another error.
type absent struct{ error }

func (a absent) Is(target error) bool { return target == ErrAbsent }
func (a absent) Unwrap() error        { return a.error }

// markAbsent returns err as an ErrAbsent if it is about a file that does not exist.
func markAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return absent{err}
	}
	return err
}
