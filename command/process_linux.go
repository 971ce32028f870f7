package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is a started program. Its fields belong to the thread that runs it.
type process struct {
	pid  int
	fd   int // of the process, or -1 on kernels without them
	out  stream
	err  stream
	mark string
}

// run starts spec and sees it to its end. It runs on a goroutine of its own,
// whose thread ends with it: the thread has a umask of its own, and the kernel
// kills the program when the thread that started it ends.
func run(ctx context.Context, spec Spec) (Output, error) {
	env, mark := environment(spec)
	place := spec.Guardian.enter(ctx, mark)
	defer spec.Guardian.leave(place)
	runtime.LockOSThread()
	restrictThread()
	wake, err := newWake(ctx)
	if err != nil {
		return Output{ExitCode: -1}, fmt.Errorf("starting %q: %w", spec.Path, err)
	}
	defer wake.close()
	p, err := start(spec, env)
	if err != nil {
		return Output{ExitCode: -1}, err
	}
	p.mark = mark
	spec.Guardian.started(place, mark, p.pid)
	if !spec.Background {
		p.restrain()
	}
	return p.supervise(ctx, wake, spec.Background)
}

// restrictThread gives the calling thread, and so what it starts, a umask of 077,
// and keeps the files of this process from it. Where the kernel refuses a thread
// its own umask (as a container's filter of system calls may), the whole process
// gets it.
func restrictThread() {
	_ = unix.Unshare(unix.CLONE_FS)
	unix.Umask(0o077)
	keepFiles()
}

// keepFiles marks all files but the first three as not to be inherited.
func keepFiles() {
	if unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC) != nil {
		closeOnExec()
	}
}

// closeOnExec does the work of close_range on kernels before 5.11.
func closeOnExec() {
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range dir {
		var fd int
		if _, err := fmt.Sscan(e.Name(), &fd); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}

// start starts the program with its pipes.
func start(spec Spec, env []string) (_ *process, err error) {
	path, err := lookPath(spec.Path, variable(env, "PATH"))
	if err != nil {
		return nil, fmt.Errorf("starting %q: %w", spec.Path, err)
	}
	dir := spec.Dir
	if dir == "" {
		dir = "/"
	}
	p := &process{fd: -1, out: stream{fd: -1}, err: stream{fd: -1}}
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", os.DevNull, err)
	}
	defer unix.Close(null)
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	outEnd, err := p.out.pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	defer unix.Close(outEnd)
	errEnd, err := p.err.pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	defer unix.Close(errEnd)
	p.pid, err = syscall.ForkExec(path, append([]string{spec.Path}, spec.Args...), &syscall.ProcAttr{
		Dir:   dir,
		Env:   env,
		Files: []uintptr{uintptr(null), uintptr(outEnd), uintptr(errEnd)},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, PidFD: &p.fd},
	})
	if err != nil {
		return nil, fmt.Errorf("starting %q in %q: %w%s", spec.Path, dir, err, hint(spec.Path))
	}
	return p, nil
}

// restrain gives what dies with its run a lower priority and no core files. It
// comes some microseconds after the program was loaded, far less than any needs to
// start another one; priorities are set for the whole group nevertheless. What
// cannot be set stays.
func (p *process) restrain() {
	_ = unix.Prlimit(p.pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
	if ours, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		_ = unix.Setpriority(unix.PRIO_PGRP, p.pid, min(20-ours+niceness, 19)) // the kernel tells 20 minus the value
	}
}

// hint helps whoever wrote a whole command line for a command.
func hint(name string) string {
	if strings.ContainsAny(name, " \t") {
		return "; arguments are no part of a command, they have a key of their own"
	}
	return ""
}

// lookPath finds an executable file of a name in the directories of path.
func lookPath(name, path string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("no command given")
	}
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue // an empty or relative entry means a directory that others may write
		}
		file := filepath.Join(dir, name)
		info, err := os.Stat(file)
		if err == nil && info.Mode().IsRegular() && unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("not found in PATH %.100q%s", path, hint(name))
}

// close closes what is open of the process's files.
func (p *process) close() {
	p.out.close()
	p.err.close()
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
		p.fd = -1
	}
}

// signal sends sig to the whole group. It is safe as long as the program has
// not been waited for: until then no other group can have its number.
func (p *process) signal(sig syscall.Signal) { _ = unix.Kill(-p.pid, sig) }

// exited reports whether the program has ended, without waiting for it.
func (p *process) exited() bool {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, p.pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err != nil || info.Signo != 0
		}
	}
}
