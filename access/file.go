package access

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// maxFile bounds what is read of a file, in bytes.
const maxFile = 1 << 20

// readPrivate returns the text of a regular file whose mode has none of the bits
// of forbidden, but for those that are lent.
func readRestricted(file string, forbidden fs.FileMode) (string, error) {
	// Without O_NONBLOCK a named pipe would be waited for.
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", withoutPath(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	forbidden &^= groupReadBit(info, os.Geteuid())
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		return "", fmt.Errorf("group or others may use it (mode %04o): chmod %04o heals it", mode, mode&^forbidden)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", withoutPath(err)
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("larger than %d bytes", maxFile)
	}
	return string(text), nil
}

// lent returns the bits of a file's mode by which this process, of the user uid, can
// have it at all. One of root is read by others through a group: so Kubernetes
// mounts secrets for containers that do not run as root.
func groupReadBit(info fs.FileInfo, uid int) fs.FileMode {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid == 0 && uid != 0 {
		return 0o040
	}
	return 0
}

// cause drops the path, which the caller names.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("cannot %s it: %w", p.Op, p.Err)
	}
	return err
}
