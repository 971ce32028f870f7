package command

import (
	"context"

	"golang.org/x/sys/unix"
)

// readSize is how much of a pipe is read at once: the size of a pipe.
const readSize = 64 << 10

// stream is our end of a pipe from the program.
type stream struct {
	fd   int // -1 once closed
	head []byte
	size int64
}

// pipe opens the pipe and returns the program's end.
func (s *stream) pipe() (int, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, err
	}
	s.fd = p[0]
	return p[1], unix.SetNonblock(s.fd, true)
}

// read reads once what is in the pipe, and closes it at its end.
func (s *stream) read(buf []byte) {
	n, err := unix.Read(s.fd, buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil || n == 0:
		s.close()
		return
	}
	s.size += int64(n)
	s.head = append(s.head, buf[:min(n, MaxOutput-len(s.head))]...)
}

func (s *stream) close() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
		s.fd = -1
	}
}

// contextEvent is a file that becomes readable when a context ends, so that one poll
// waits for everything.
type contextEvent struct {
	fd    int
	stop  func() bool
	fired chan struct{}
}

func newContextEvent(ctx context.Context) (*contextEvent, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	w := &contextEvent{fd: fd, fired: make(chan struct{})}
	w.stop = context.AfterFunc(ctx, func() {
		defer close(w.fired)
		one := [8]byte{1}
		_, _ = unix.Write(fd, one[:])
	})
	return w, nil
}

func (w *contextEvent) close() {
	if !w.stop() {
		<-w.fired
	}
	_ = unix.Close(w.fd)
}
