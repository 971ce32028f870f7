package safefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// readTimeout bounds the reading of files that can wait, such as /proc/kmsg, which
// looks like a regular file. The files of disks do not obey it.
const readTimeout = time.Second

// ErrTooLarge is the error of a file that is larger than the limit.
var ErrTooLarge = errors.New("the file is too large")

// Open opens a regular file for reading and follows symbolic links. Like all errors
// of this package, its errors are a *fs.PathError.
func Open(path string) (*os.File, fs.FileInfo, error) {
	// A device is not opened at all: opening one may have effects.
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, explain("open", path, err)
	}
	if err := checkRegular(path, info); err != nil {
		return nil, nil, err
	}
	// O_NONBLOCK: the file may be a named pipe by now, which must not block.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, explain("open", path, err)
	}
	if info, err = f.Stat(); err == nil {
		err = checkRegular(path, info)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, explain("open", path, err)
	}
	_ = f.SetReadDeadline(time.Now().Add(readTimeout)) // fails for the files of disks
	return f, info, nil
}

// Read returns the content of a regular file of at most limit bytes.
func Read(path string, limit int64) ([]byte, error) {
	text, _, err := ReadWithInfo(path, limit)
	return text, err
}

// ReadWithInfo is Read. It also returns the FileInfo of the file that was read.
func ReadWithInfo(path string, limit int64) ([]byte, fs.FileInfo, error) {
	f, info, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	text, err := readAll(f, path, info, limit)
	return text, info, err
}

func readAll(f *os.File, path string, info fs.FileInfo, limit int64) ([]byte, error) {
	tooLarge := &fs.PathError{Op: "read", Path: path, Err: &sizeError{limit}}
	if info.Size() > limit {
		return nil, tooLarge
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, explain("read", path, err)
	}
	if int64(len(text)) > limit {
		return nil, tooLarge
	}
	return text, nil
}

// sizeError is an ErrTooLarge with the limit, in bytes.
type sizeError struct{ limit int64 }

func (e *sizeError) Error() string {
	switch {
	case e.limit >= 1<<20 && e.limit%(1<<20) == 0:
		return fmt.Sprintf("larger than the limit of %d MiB", e.limit>>20)
	case e.limit >= 1<<10 && e.limit%(1<<10) == 0:
		return fmt.Sprintf("larger than the limit of %d KiB", e.limit>>10)
	}
	return fmt.Sprintf("larger than the limit of %d bytes", e.limit)
}

func (e *sizeError) Is(target error) bool { return target == ErrTooLarge }

func checkRegular(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("not a regular file but %s: give the path of a regular file", kindOf(info.Mode()))}
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}

// explain returns err as a *fs.PathError with the operation and, for a file that
// exists but cannot be read, the user who tries.
func explain(op, path string, err error) error {
	cause := err
	var p *fs.PathError
	if errors.As(err, &p) {
		cause = p.Err
	}
	if errors.Is(cause, fs.ErrPermission) {
		cause = fmt.Errorf("%w for %s, the user of this process", cause, UserName(uint32(os.Geteuid())))
	}
	return &fs.PathError{Op: op, Path: path, Err: cause}
}

// WithoutPath returns an error of this package without the path, for callers that
// name it.
func WithoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("cannot %s it: %w", p.Op, p.Err)
	}
	return err
}
