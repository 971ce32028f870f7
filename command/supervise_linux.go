package command

import (
	"context"
	"os"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pollTime is how often a program is asked whether it has ended on kernels that
// cannot tell by themselves (before 5.3).
const pollTime = 10 * time.Millisecond

// stage is where a run stands.
type stage int

const (
	running  stage = iota // waiting for its end or the context's
	stopping              // SIGTERM is sent
	killed                // SIGKILL is sent
	ended                 // it has ended, its pipes are being emptied
)

// supervisor sees one program to its end.
type supervisor struct {
	*process
	stage      stage
	until      time.Time // end of the stage, zero for running
	background bool
	late       bool  // the context ended first
	gone       bool  // the program has ended
	left       bool  // something outlived SIGKILL
	swept      []int // what was killed outside of the group, and perhaps in it
	buf        []byte
}

func (p *process) supervise(ctx context.Context, w *wake, background bool) (Output, error) {
	begin := time.Now()
	s := &supervisor{process: p, background: background, buf: make([]byte, readSize)}
	for !s.done(time.Now()) {
		s.step(w)
	}
	out := Output{ExitCode: -1, Unkillable: s.left || !s.gone}
	if s.gone {
		s.reap(&out)
	} else {
		go func(pid int) { // its zombie must be taken, whenever that is
			_, _ = unix.Wait4(pid, nil, 0, nil)
		}(p.pid)
	}
	p.close()
	out.Stdout, out.StdoutSize = p.out.kept, p.out.size
	out.Stderr, out.StderrSize = p.err.kept, p.err.size
	out.Duration = time.Since(begin)
	switch {
	case s.late:
		return out, &TimeoutError{After: out.Duration, Reason: reason(out.Stderr), cause: context.Cause(ctx)}
	case out.ExitCode != 0: // also -1
		return out, &ExitError{Code: out.ExitCode, Signal: out.Signal, Reason: reason(out.Stderr)}
	}
	return out, nil
}

// done reports whether there is nothing left to wait for.
func (s *supervisor) done(now time.Time) bool {
	if s.gone && s.out.fd < 0 && s.err.fd < 0 {
		return true
	}
	return (s.stage == killed || s.stage == ended) && !now.Before(s.until)
}

// step waits for the next thing to happen and deals with it.
func (s *supervisor) step(w *wake) {
	fds := []unix.PollFd{
		{Fd: int32(s.out.fd), Events: unix.POLLIN},
		{Fd: int32(s.err.fd), Events: unix.POLLIN},
		{Fd: -1, Events: unix.POLLIN},
		{Fd: -1, Events: unix.POLLIN},
	}
	if !s.gone {
		fds[2].Fd = int32(s.fd)
	}
	if s.stage == running {
		fds[3].Fd = int32(w.fd)
	}
	if _, err := unix.Poll(fds, s.timeout()); err != nil {
		return // interrupted
	}
	if fds[0].Revents != 0 {
		s.out.read(s.buf)
	}
	if fds[1].Revents != 0 {
		s.err.read(s.buf)
	}
	if !s.gone && (fds[2].Revents != 0 || s.fd < 0 && s.exited()) {
		s.gone = true
		s.end()
	}
	if fds[3].Revents != 0 && s.stage == running {
		s.late = true
		s.signal(syscall.SIGTERM)
		s.enter(stopping, Grace)
	}
	if s.stage == stopping && !time.Now().Before(s.until) {
		s.kill()
		s.enter(killed, killTime)
	}
}

// timeout returns how long to poll, in milliseconds, or -1 for ever.
func (s *supervisor) timeout() int {
	wait := time.Duration(-1)
	if s.stage != running {
		wait = max(0, time.Until(s.until))
	}
	if !s.gone && s.fd < 0 && (wait < 0 || wait > pollTime) {
		wait = pollTime
	}
	if wait < 0 {
		return -1
	}
	return int((wait + time.Millisecond - 1) / time.Millisecond)
}

// end deals with the end of the program itself.
func (s *supervisor) end() {
	if s.stage == killed {
		return
	}
	switch {
	case s.late:
		s.kill()
	case !s.background:
		s.signal(syscall.SIGKILL)
	}
	s.enter(ended, drainTime)
}

// kill ends everything that belongs to the run.
func (s *supervisor) kill() {
	s.signal(syscall.SIGKILL)
	s.swept, s.left = sweep(s.mark, time.Now().Add(sweepTime))
}

func (s *supervisor) enter(st stage, d time.Duration) {
	s.stage, s.until = st, time.Now().Add(d)
}

// reap waits for the program, which has ended, and fills in how. In a process
// that orphans come to (the first one of a container) it takes those of the
// group too; elsewhere there are none.
func (s *supervisor) reap(out *Output) {
	for end := time.Now().Add(drainTime); ; {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-s.pid, &status, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			s.reapSwept(end)
			return
		case pid == s.pid && status.Signaled():
			out.Signal = status.Signal()
		case pid == s.pid:
			out.ExitCode = status.ExitStatus()
		case pid > 0: // an orphan
		case pid == 0 && (s.background || time.Now().After(end)):
			return // adopted ones that live on
		case pid == 0:
			time.Sleep(time.Millisecond)
		}
	}
}

// reapSwept takes the zombies of what was swept, where they come to us.
func (s *supervisor) reapSwept(end time.Time) {
	if len(s.swept) == 0 || !adopts() {
		return
	}
	slices.Sort(s.swept)
	for _, pid := range slices.Compact(s.swept) {
		for time.Now().Before(end) {
			if n, _ := unix.Wait4(pid, nil, unix.WNOHANG, nil); n == pid || unix.Kill(pid, 0) != nil {
				break
			}
			time.Sleep(time.Millisecond) // its parent has to die first
		}
	}
}

// adopts reports whether orphans become children of this process.
func adopts() bool {
	if os.Getpid() == 1 {
		return true
	}
	var on int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&on)), 0, 0, 0)
	return err == nil && on != 0
}
