package command

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// newProgram returns the program of a spec, to be started in a group of its own. The
// kernel kills it when the thread that starts it ends.
func newProgram(spec Spec, env []string) (*exec.Cmd, error) {
	path, err := lookPath(spec.Path, variable(env, "PATH"))
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{
		Path: path, Args: append([]string{spec.Path}, spec.Args...), Env: env, Dir: cmp.Or(spec.Dir, "/"),
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}, nil
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

// limitResources lowers the priority of a program that dies with its run, and
// disables its core files. That happens microseconds after the program was loaded,
// before it can start another one; nevertheless the priority is set for the whole
// group. Errors are ignored.
func limitResources(pid int) {
	_ = unix.Prlimit(pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
	if ours, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		_ = unix.Setpriority(unix.PRIO_PGRP, pid, min(20-ours+niceness, 19)) // the system call returns 20 minus the value
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
