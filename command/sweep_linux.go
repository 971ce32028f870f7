package command

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"
)

// sweep kills every process whose environment holds the mark, until there is
// none or the time is up. It returns those it killed, and whether some are left.
//
// A process may fork and end while we look: nothing is left if nothing is found
// twice.
func sweep(mark string, until time.Time) (killed []int, left bool) {
	for empty := 0; empty < 2; time.Sleep(time.Millisecond) {
		found, unsure := marked(mark)
		empty++
		if len(found) > 0 || unsure {
			empty = 0
		}
		for _, pid := range found {
			killMarked(pid, mark)
			killed = append(killed, pid)
		}
		if !time.Now().Before(until) {
			return killed, len(found) > 0
		}
	}
	return killed, false
}

// marked returns the processes whose environment holds the mark, and whether
// there are some of which that cannot be told yet.
func marked(mark string) (pids []int, unsure bool) {
	for _, pid := range processes() {
		env, loading := environ(pid)
		unsure = unsure || loading
		if contains(env, mark) {
			pids = append(pids, pid)
		}
	}
	return pids, unsure
}

// contains reports whether an environment holds the mark.
func contains(env []byte, mark string) bool {
	return bytes.HasPrefix(env, []byte(mark+"\x00")) || bytes.Contains(env, []byte("\x00"+mark+"\x00"))
}

// killMarked kills a process if it still holds the mark. The file of the process
// is opened before the mark is read, so that a number that was used again in
// between hits nobody else.
func killMarked(pid int, mark string) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ENOSYS {
		if env, _ := environ(pid); contains(env, mark) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		return
	}
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if env, _ := environ(pid); contains(env, mark) {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}
