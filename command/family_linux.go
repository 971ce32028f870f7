package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxChildren bounds the list of children that is read, in bytes.
	maxChildren = 1 << 20

	// reapPause is how long an orphan that ended may be a zombie, so that the end of
	// each program does not cost a search.
	reapPause = 100 * time.Millisecond
)

// family tells the children of this process apart: the programs that it started, which
// os/exec waits for, and the orphans that it adopts from them, which nobody else does.
//
// An orphan is adopted by the first thread of this process, which never ends. So the
// kernel's list of the children of that thread has, at any time, every process that a
// program left behind, or an ancestor of it that is a descendant of the program too.
// Without adoption, all processes are searched.
type family struct {
	starting chan struct{} // full while a program is started, perhaps from a disk that hangs

	mu       sync.Mutex
	started  map[int]bool // by pid, until they are waited for; guarded by mu
	adopted  *os.File     // the list; nil without adoption; guarded by mu
	marking  bool         // programs get their mark as a limit too; guarded by mu
	ownLimit unix.Rlimit  // of this process while it starts no program; guarded by mu
}

func newFamily() *family {
	return &family{starting: make(chan struct{}, 1), started: make(map[int]bool)}
}

// adopt lets the kernel give orphans to this process, until it ends.
func (f *family) adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("adopting orphans: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	limit, err := markLimitOf(0)
	if err == nil {
		try := unix.Rlimit{Cur: uint64(newMark()), Max: limit.Max}
		f.marking = setMarkLimit(try) == nil && setMarkLimit(limit) == nil
		f.ownLimit = limit
	}
	f.adopted, err = os.Open(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	if err != nil {
		return fmt.Errorf("adopting orphans: %w", err)
	}
	return nil
}

// reapUntil reaps the orphans that end, until ctx does. After that, orphans are not
// listed any more.
func (f *family) reapUntil(ctx context.Context) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	for ctx.Err() == nil {
		select {
		case <-ended:
		case <-ctx.Done():
		}
		select {
		case <-time.After(reapPause):
		case <-ctx.Done():
		}
		f.reap()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.adopted.Close() // nil is fine
	f.adopted, f.marking = nil, false
}

// reap reaps the orphans that have ended. A child in the group of this process is no
// orphan, because each program begins a group: other code has started it.
func (f *family) reap() {
	select {
	case f.starting <- struct{}{}: // all that is started is known
		defer func() { <-f.starting }()
	default: // the end of what is being started causes another call
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	own := unix.Getpgrp()
	others, _ := f.othersLocked()
	for _, pid := range others {
		if group, err := unix.Getpgid(pid); err == nil && group != own {
			reaped(pid)
		}
	}
}

// start starts a program with a mark, unless ctx has ended by the time that this is
// possible.
func (f *family) start(ctx context.Context, program *exec.Cmd, m mark) error {
	select {
	case f.starting <- struct{}{}:
		defer func() { <-f.starting }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for the start of another program: %w", context.Cause(ctx))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	defer f.markNext(m)()
	if err := program.Start(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started[program.Process.Pid] = true
	return nil
}

// markNext gives the next program a mark as its limit, until the returned function is
// called.
func (f *family) markNext(m mark) (restore func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.marking {
		return func() {}
	}
	own := f.ownLimit
	_ = setMarkLimit(unix.Rlimit{Cur: uint64(m), Max: own.Max})
	return func() { _ = setMarkLimit(own) }
}

// wait waits for a program. Its number is free for another one only when it is out of
// the family.
func (f *family) wait(program *exec.Cmd) error {
	awaitExit(program.Process.Pid)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.started, program.Process.Pid)
	return program.Wait()
}

// awaitExit blocks until a child has ended, and leaves it to be waited for.
func awaitExit(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// reaped reaps a process if it is a child and has ended.
func reaped(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG, nil)
	return err == nil && info.Signo != 0
}

// end kills and reaps all processes with a mark but the program itself, until there are
// none or the time is up. It reports whether some are left.
func (f *family) end(m mark, until time.Time) (left bool) {
	for empty := 0; ; time.Sleep(time.Millisecond) {
		found, whole := f.strike(m)
		switch {
		case found:
			empty = 0
		case whole || empty == 1:
			return false
		default:
			empty++
		}
		if !time.Now().Before(until) {
			return found
		}
	}
}

// strike kills the processes with a mark that are alive, reaps the orphans that are
// not, and reports whether there were some. The search was whole if none can have
// hidden: in a list of all processes, one may fork and end before it is read.
func (f *family) strike(m mark) (found, whole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	others, whole := f.othersLocked()
	for _, pid := range others {
		marked, unsure := m.isOn(pid)
		found = found || marked || unsure
		if marked && !reaped(pid) {
			killIf(pid, func() bool { marked, _ := m.isOn(pid); return marked })
		}
	}
	return found, whole
}

// othersLocked returns processes among which are all orphans, and none that was started
// here. The list is whole if it is that of the children.
func (f *family) othersLocked() (pids []int, whole bool) {
	list, err := f.childrenLocked()
	if err != nil {
		list = processes()
	}
	return slices.DeleteFunc(list, func(pid int) bool { return f.started[pid] }), err == nil
}

// childrenLocked reads the list of children.
func (f *family) childrenLocked() (pids []int, err error) {
	if f.adopted == nil {
		return nil, errors.ErrUnsupported
	}
	list, err := io.ReadAll(io.LimitReader(io.NewSectionReader(f.adopted, 0, maxChildren), maxChildren))
	for field := range bytes.FieldsSeq(list) {
		if pid, err := strconv.Atoi(string(field)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, err
}
