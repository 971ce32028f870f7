package command

import (
	"context"
	"os"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/microhq/monitor-srv/text"
)

// exitPollInterval is how often the end of a program is polled on kernels without
// pidfd (before 5.3).
const exitPollInterval = 10 * time.Millisecond

// stage is a stage of a run.
type stage int

const (
	running  stage = iota // waiting for the end of the program or of the context
	stopping              // SIGTERM was sent
	killed                // SIGKILL was sent
	draining              // the program has ended, its pipes are being read
)

// supervisor supervises one program to its end.
type supervisor struct {
	*process
	stage      stage
	until      time.Time // end of the stage, zero for running
	background bool
	timedOut   bool  // the context ended first
	ended      bool  // the program has ended
	survivors  bool  // a process survived SIGKILL
	swept      []int // processes killed by their mark
	buf        []byte
}

func (p *process) supervise(ctx context.Context, w *contextEvent, background bool) (Output, error) {
	begin := time.Now()
	s := &supervisor{process: p, background: background, buf: make([]byte, readSize)}
	for !s.done(time.Now()) {
		s.step(w)
	}
	out := Output{ExitCode: -1, Unkillable: s.survivors || !s.ended}
	if s.ended {
		s.reap(&out)
	} else {
		go func(pid int) { // reap it whenever it ends
			_, _ = unix.Wait4(pid, nil, 0, nil)
		}(p.pid)
	}
	p.close()
	out.Stdout, out.StdoutSize = p.out.head, p.out.size
	out.Stderr, out.StderrSize = p.err.head, p.err.size
	out.Duration = time.Since(begin)
	switch {
	case s.timedOut:
		return out, &TimeoutError{After: out.Duration, Reason: text.Line(string(out.Stderr), maxReason), cause: context.Cause(ctx)}
	case out.ExitCode != 0: // also -1
		return out, &ExitError{Code: out.ExitCode, Signal: out.Signal, Reason: text.Line(string(out.Stderr), maxReason)}
	}
	return out, nil
}

// done reports whether there is nothing left to wait for.
func (s *supervisor) done(now time.Time) bool {
	if s.ended && s.out.fd < 0 && s.err.fd < 0 {
		return true
	}
	return (s.stage == killed || s.stage == draining) && !now.Before(s.until)
}

// step waits for the next event and handles it.
func (s *supervisor) step(w *contextEvent) {
	fds := []unix.PollFd{
		{Fd: int32(s.out.fd), Events: unix.POLLIN},
		{Fd: int32(s.err.fd), Events: unix.POLLIN},
		{Fd: -1, Events: unix.POLLIN},
		{Fd: -1, Events: unix.POLLIN},
	}
	if !s.ended {
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
	if !s.ended && (fds[2].Revents != 0 || s.fd < 0 && s.exited()) {
		s.ended = true
		s.end()
	}
	if fds[3].Revents != 0 && s.stage == running {
		s.timedOut = true
		s.signal(syscall.SIGTERM)
		s.enter(stopping, Grace)
	}
	if s.stage == stopping && !time.Now().Before(s.until) {
		s.kill()
		s.enter(killed, killTimeout)
	}
}

// timeout returns how long to poll, in milliseconds, or -1 for no limit.
func (s *supervisor) timeout() int {
	wait := time.Duration(-1)
	if s.stage != running {
		wait = max(0, time.Until(s.until))
	}
	if !s.ended && s.fd < 0 && (wait < 0 || wait > exitPollInterval) {
		wait = exitPollInterval
	}
	if wait < 0 {
		return -1
	}
	return int((wait + time.Millisecond - 1) / time.Millisecond)
}

// end handles the end of the program.
func (s *supervisor) end() {
	if s.stage == killed {
		return
	}
	switch {
	case s.timedOut:
		s.kill()
	case !s.background:
		s.signal(syscall.SIGKILL)
	}
	s.enter(draining, drainTime)
}

// kill kills all processes of the run.
func (s *supervisor) kill() {
	s.signal(syscall.SIGKILL)
	s.swept, s.survivors = sweep(s.mark, time.Now().Add(sweepTimeout))
}

func (s *supervisor) enter(st stage, d time.Duration) {
	s.stage, s.until = st, time.Now().Add(d)
}

// reap waits for the program, which has ended, and sets its exit status. If this
// process adopts orphans, as the first process of a container does, it also reaps
// those of the group.
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
			return // adopted processes that live on
		case pid == 0:
			time.Sleep(time.Millisecond)
		}
	}
}

// reapSwept reaps the processes that sweep killed, if this process adopts orphans.
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
