package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// guardTimeout bounds how long a guardian process kills; guardPause is the pause
	// between two searches.
	guardTimeout = 5 * time.Second
	guardPause   = 5 * time.Millisecond

	// tableFile is the file descriptor of the table in a guardian process.
	tableFile = 3
)

// Guard runs the guardian process. It waits for the end of its standard input, which
// the process that started it holds open, and then kills the remaining processes of
// that process's commands. It ends when none is left, after 5 s at most. Call it
// before anything else, in a process that a Guardian started; in any other process it
// fails at once.
func Guard() error {
	// The service manager may stop all processes of the service. This process stops
	// last.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	file := os.NewFile(tableFile, "table of commands")
	if _, err := readTable(file); err != nil {
		return fmt.Errorf("guarding commands: %w: this process is started by the service only", err)
	}
	_ = os.WriteFile("/proc/self/comm", []byte("monitor-guard"), 0)
	debug.FreeOSMemory()
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return fmt.Errorf("guarding commands: %w", err)
	}
	// As in family.end: two searches in a row must find nothing.
	until := time.Now().Add(guardTimeout)
	struck := make(map[int]bool)
	for empty := 0; empty < 2; time.Sleep(guardPause) {
		c, err := readTable(file)
		if err != nil {
			return fmt.Errorf("guarding commands: %w", err)
		}
		if len(c.keys) == 0 {
			return nil
		}
		empty++
		if c.kill(struck) > 0 {
			empty = 0
		}
		if time.Now().After(until) {
			return errors.New("guarding commands: a process survived SIGKILL")
		}
	}
	return nil
}

// kill kills the groups in the table that were not killed before, and all processes
// with its marks. It returns how many processes it found or could not identify yet.
//
// A group is killed only once. Nothing can escape from a group that is killed, and
// the kernel may give the number of an empty group to another one of the session.
func (c tableContent) kill(struck map[int]bool) int {
	found := 0
	for _, pid := range processes() {
		s, ok := statOf(pid)
		if ok && s.session == c.session && c.groups[s.group] && !struck[s.group] {
			_ = unix.Kill(-s.group, unix.SIGKILL)
			struck[s.group] = true
			found++
			continue
		}
		marked, unsure := c.marked(pid)
		if marked {
			killIf(pid, func() bool { marked, _ := c.marked(pid); return marked })
		}
		if marked || unsure {
			found++
		}
	}
	return found
}

// marked reports whether a process has a mark of the table, or is unsure because the
// process is about to execute a program.
func (c tableContent) marked(pid int) (marked, unsure bool) {
	if limit, err := markLimitOf(pid); err == nil && c.keys[mark(limit.Cur).String()] {
		return true, false
	}
	env, loading := environ(pid)
	for pair := range bytes.SplitSeq(env, []byte{0}) {
		key, ok := bytes.CutPrefix(pair, []byte(markName+"="))
		if ok && c.keys[string(key)] {
			return true, false
		}
	}
	return false, loading
}
