package command

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// markLimit is the resource limit whose soft value is the mark of a run: RLIMIT_LOCKS,
// which no kernel since 2.4.25 enforces. A process inherits it over fork and exec, also
// into another session and with an empty environment, and it can be read of a zombie.
const markLimit = unix.RLIMIT_LOCKS

// setMarkLimit sets the limit of this process, for the programs that it starts.
func setMarkLimit(limit unix.Rlimit) error {
	return unix.Prlimit(0, markLimit, &limit, nil)
}

// markLimitOf returns the limit of a process; 0 is this one. It fails for a process of
// another user, unless this one is privileged.
func markLimitOf(pid int) (unix.Rlimit, error) {
	var limit unix.Rlimit
	err := unix.Prlimit(pid, markLimit, nil, &limit)
	return limit, err
}

// isOn reports whether a process has the mark, or is unsure because the process is
// about to execute a program.
func (m mark) isOn(pid int) (marked, unsure bool) {
	if limit, err := markLimitOf(pid); err == nil && mark(limit.Cur) == m {
		return true, false
	}
	env, loading := environ(pid)
	return m.in(env), loading
}

// in reports whether an environment holds the mark.
func (m mark) in(env []byte) bool {
	variable := []byte(m.variable() + "\x00")
	return bytes.HasPrefix(env, variable) || bytes.Contains(env, append([]byte{0}, variable...))
}
