package command

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// maxEnviron bounds what is read of a process's environment, in bytes: the
// kernel allows a quarter of the stack's limit, 2 MiB by default.
const maxEnviron = 4 << 20

// sweep kills every process whose environment holds the mark, until there is
// none (a process may fork while we look) or the time is up. It returns those it
// killed, and whether some are left.
func sweep(mark string, until time.Time) (killed []int, left bool) {
	for {
		found := marked(mark)
		if len(found) == 0 {
			return killed, false
		}
		if !time.Now().Before(until) {
			return killed, true
		}
		for _, pid := range found {
			killMarked(pid, mark)
			killed = append(killed, pid)
		}
		time.Sleep(time.Millisecond)
	}
}

// marked returns the processes whose environment holds the mark. What other
// users run cannot be read and is passed over, and so are zombies, which have
// none.
func marked(mark string) []int {
	return slices.DeleteFunc(processes(), func(pid int) bool { return !holds(pid, mark) })
}

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

// holds reports whether the environment of a process holds the mark.
func holds(pid int, mark string) bool {
	env := environ(pid)
	return bytes.HasPrefix(env, []byte(mark+"\x00")) || bytes.Contains(env, []byte("\x00"+mark+"\x00"))
}

// environ returns the environment of a process, or nil.
func environ(pid int) []byte {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil
	}
	defer f.Close()
	env, _ := io.ReadAll(io.LimitReader(f, maxEnviron))
	return env
}

// killMarked kills a process if it still holds the mark. The file of the process
// is opened before the mark is read, so that a number that was used again in
// between hits nobody else.
func killMarked(pid int, mark string) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ENOSYS {
		if holds(pid, mark) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		return
	}
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if holds(pid, mark) {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}
