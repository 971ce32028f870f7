package command

import (
	"bytes"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	// maxEnviron bounds what is read of a process's environment, in bytes. The kernel
	// allows a quarter of the stack limit, 2 MiB by default.
	maxEnviron = 4 << 20

	// Flags of a process, from include/linux/sched.h.
	exiting = 0x00000004
	kthread = 0x00200000
)

// processes returns all processes but this one.
func processes() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// environ returns the environment of a process. It is empty for a zombie and for a
// process of another user. It is also empty for a moment while the process executes a
// new program; then loading is set.
func environ(pid int) (env []byte, loading bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	env, err := readProc(dir + "/environ")
	if err != nil || len(env) > 0 {
		return env, false
	}
	// The process may have cleared it. A loaded program has arguments in any case.
	if args, err := readProc(dir + "/cmdline"); err != nil || len(args) > 0 {
		return nil, false
	}
	s, ok := statOf(pid)
	return nil, ok && s.flags&(exiting|kthread) == 0
}

func readProc(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxEnviron))
}

// stat is the status of a running process.
type stat struct{ group, session, flags int }

// statOf returns the stat of a process; false for zombies and processes that have
// ended.
func statOf(pid int) (stat, bool) {
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	// The name in parentheses may hold any characters. Then follow the state, the
	// parent, the group, the session, a terminal, its group, and the flags.
	fields := bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:])
	if len(fields) < 7 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return stat{}, false
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(string(fields[i]))
		return n
	}
	return stat{group: number(2), session: number(3), flags: number(6)}, true
}

// killIf kills a process if it is the right one. Its pidfd is opened before right looks
// at it, so that another process that got the number meanwhile is not hit.
func killIf(pid int, right func() bool) {
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case err == unix.ENOSYS: // kernels before 5.3
		if right() {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	case err == nil:
		if right() {
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		_ = unix.Close(fd)
	}
}
