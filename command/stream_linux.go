package command

import (
	"io"
	"os"
	"syscall"
)

// stream is a pipe from the program.
type stream struct {
	ours, theirs *os.File
	head         []byte
	size         int64
}

// open opens the pipe. Only our end is waited for by the runtime; os.Pipe would prepare
// both for that.
func (s *stream) open() error {
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC); err != nil {
		return err
	}
	s.theirs = os.NewFile(uintptr(p[1]), "pipe")
	_ = syscall.SetNonblock(p[0], true)
	s.ours = os.NewFile(uintptr(p[0]), "pipe")
	return nil
}

func (s *stream) close() {
	_ = s.ours.Close() // nil is fine
	_ = s.theirs.Close()
}

// read reads the pipe to its end or deadline.
func (s *stream) read() {
	s.head, _ = io.ReadAll(io.LimitReader(s.ours, MaxOutput))
	rest, _ := io.Copy(io.Discard, s.ours)
	s.size = int64(len(s.head)) + rest
}
