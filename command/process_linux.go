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

// process is a started program. Its fields belong to the goroutine that runs it.
type process struct {
	pid  int
	fd   int // of the process, or -1 on kernels without them
	out  stream
	err  stream
	mark string
}

// run starts spec and supervises it to its end. It must run on a new goroutine, whose
// thread ends with it: the thread has its own umask, and the kernel kills the program
// when the thread that started it ends.
func run(ctx context.Context, spec Spec) (Output, error) {
	env, mark := environment(spec)
	slot := spec.Guardian.enter(ctx, mark)
	defer spec.Guardian.leave(slot)
	runtime.LockOSThread()
	restrictThread()
	wake, err := newContextEvent(ctx)
	if err != nil {
		return Output{ExitCode: -1}, fmt.Errorf("starting %q: %w", spec.Path, err)
	}
	defer wake.close()
	p, err := start(spec, env)
	if err != nil {
		return Output{ExitCode: -1}, err
	}
	p.mark = mark
	spec.Guardian.started(slot, mark, p.pid)
	if !spec.Background {
		p.limitResources()
	}
	return p.supervise(ctx, wake, spec.Background)
}

// restrictThread sets the umask of the calling thread, and so of the program, to 077,
// and marks the files of this process as not to be inherited. If the kernel refuses a
// separate umask, as the seccomp filter of a container may, the whole process gets
// it.
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

// closeOnExec replaces close_range on kernels before 5.11.
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

// limitResources lowers the priority of a program that dies with its run, and
// disables its core files. That happens microseconds after the program was loaded,
// before it can start another one; nevertheless the priority is set for the whole
// group. Errors are ignored.
func (p *process) limitResources() {
	_ = unix.Prlimit(p.pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
	if ours, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		_ = unix.Setpriority(unix.PRIO_PGRP, p.pid, min(20-ours+niceness, 19)) // the system call returns 20 minus the value
	}
}

// hint helps users who wrote a whole command line as the command.
func hint(name string) string {
	if strings.ContainsAny(name, " \t") {
		return "; give arguments in the key args, not in the command"
	}
	return ""
}

// lookPath finds an executable file in the directories of path.
func lookPath(name, path string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("no command given")
	}
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue // an empty or relative entry may be a directory that others can write
		}
		file := filepath.Join(dir, name)
		info, err := os.Stat(file)
		if err == nil && info.Mode().IsRegular() && unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("not found in PATH %.100q%s", path, hint(name))
}

// close closes the open files of the process.
func (p *process) close() {
	p.out.close()
	p.err.close()
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
		p.fd = -1
	}
}

// signal sends sig to the whole group. Until the program has been waited for, no
// other group can have its number.
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
