package access

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"syscall"
)

// maxFile bounds the size of a file, in bytes.
const maxFile = 1 << 20

// readRestricted returns the text of a regular file whose mode has none of the
// forbidden bits, except for groupReadBit.
func readRestricted(file string, forbidden fs.FileMode) (string, error) {
	// O_NONBLOCK: opening a named pipe must not block.
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
		return "", fmt.Errorf("group or others may access it (mode %04o): run chmod %04o to fix it", mode, mode&^forbidden)
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

// groupReadBit returns the bit for reading by the group if a process of the user uid
// depends on it, else 0. Kubernetes mounts secrets as files of root and a group, for
// containers that do not run as root.
func groupReadBit(info fs.FileInfo, uid int) fs.FileMode {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid == 0 && uid != 0 {
		return 0o040
	}
	return 0
}

// withoutPath removes the path, which the caller adds.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("cannot %s it: %w", p.Op, p.Err)
	}
	return err
}

// lines yields the numbers and the trimmed lines of a text, without empty lines and
// comments.
func lines(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		number := 0
		for line := range strings.Lines(text) {
			number++
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if !yield(number, line) {
				return
			}
		}
	}
}
