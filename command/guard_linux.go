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
	// guardTime bounds how long a guardian goes on killing, and guardPause is its
	// rest between two looks.
	guardTime  = 5 * time.Second
	guardPause = 5 * time.Millisecond

	// tableFile is the table's number among the files of a guardian.
	tableFile = 3
)

// Guard is what a guardian process does: it waits for the end of its standard
// input, which is that of the process that started it, and kills what is left of
// that process's commands. It goes on until there is nothing left, but no longer
// than 5 s. To be called before anything else, by a process that a Guardian
// started; in any other it fails at once.
func Guard() error {
	// The service manager may tell all of the service to stop. This process
	// stops last.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	file := os.NewFile(tableFile, "table of commands")
	if _, err := readTable(file); err != nil {
		return fmt.Errorf("guarding commands: %w: only the service itself starts this", err)
	}
	_ = os.WriteFile("/proc/self/comm", []byte("monitor-guard"), 0)
	debug.FreeOSMemory()
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return fmt.Errorf("guarding commands: %w", err)
	}
	// As in sweep: nothing is left if nothing is found twice.
	until := time.Now().Add(guardTime)
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
			return errors.New("guarding commands: something outlived SIGKILL")
		}
	}
	return nil
}

// kill kills the groups that the table names, unless they were struck before, and
// whatever holds its marks. It returns how many processes it found, or could not
// be sure of.
//
// The kernel lets nothing escape from a group that is killed, and may give its
// number to another one of the session as soon as it is empty. So once is enough,
// and more would be too much.
func (c current) kill(struck map[int]bool) int {
	found := 0
	for _, pid := range processes() {
		s, ok := statOf(pid)
		if ok && s.session == c.session && c.groups[s.group] && !struck[s.group] {
			_ = unix.Kill(-s.group, unix.SIGKILL)
			struck[s.group] = true
			found++
			continue
		}
		env, loading := environ(pid)
		if mark := c.markIn(env); mark != "" {
			killMarked(pid, mark)
			found++
		} else if loading {
			found++
		}
	}
	return found
}

// markIn returns which of the marks an environment holds, or "".
func (c current) markIn(env []byte) string {
	for pair := range bytes.SplitSeq(env, []byte{0}) {
		key, ok := bytes.CutPrefix(pair, []byte(markName+"="))
		if ok && c.keys[string(key)] {
			return string(pair)
		}
	}
	return ""
}
