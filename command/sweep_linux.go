package command

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"
)

// sweep kills every process whose environment holds the mark, until none is left or
// the time is up. It returns the killed processes, and whether some are left.
//
// A process may fork and end during a search, so two searches in a row must find
// nothing.
func sweep(mark string, until time.Time) (killed []int, left bool) {
	for empty := 0; empty < 2; time.Sleep(time.Millisecond) {
		found, unsure := processesMarked(mark)
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

// processesMarked returns the processes whose environment holds the mark, and whether
// there are some whose environment cannot be read yet.
func processesMarked(mark string) (pids []int, unsure bool) {
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

// killMarked kills a process if it still holds the mark. It opens the pidfd before it
// reads the mark, so that it cannot hit another process that got the number in
// between.
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
