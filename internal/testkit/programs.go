package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// ShellKeys returns the TOML keys of an exec action that runs a shell script.
func ShellKeys(script string) string {
	return fmt.Sprintf("command = \"/bin/sh\"\nargs = [\"-c\", %q]\n", script)
}

// UnstoppableScript is a script that starts four processes that only SIGKILL ends,
// and creates file once all of them run.
func UnstoppableScript(file string) string {
	return "trap '' TERM; sleep 100 & setsid sleep 100 & (setsid sh -c 'sleep 100; true' >/dev/null 2>&1 &) ; touch " + file + "; sleep 100; sleep 100"
}

// NumStubbornSleeps is the number of sleeps that StubbornSleeps starts.
const NumStubbornSleeps = 7

// StubbornSleeps is a script that starts sleeps of word in all ways to escape: as
// children and grandchildren, ignoring SIGTERM, in other sessions, as daemons, and
// without the environment but in the group. Two of them are programs of a shell.
func StubbornSleeps(word string) string {
	return strings.ReplaceAll(`(sleep N; true) &
sleep N &
sh -c "trap '' TERM HUP INT; sleep N; true" &
env -i sleep N &
(setsid sh -c "trap '' TERM; (sleep N; true) & exec sleep N" >/dev/null 2>&1 &)
sleep N
true`, "N", word)
}

// ProcessesWithEnv returns the processes whose environment contains text.
func ProcessesWithEnv(t testing.TB, text string) (pids []int) {
	t.Helper()
	for pid := range processes(t, "environ", text) {
		pids = append(pids, pid)
	}
	return pids
}

// Kill kills processes.
func Kill(pids []int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// ChildrenWithLastArg returns the children of a process whose last argument is arg.
func ChildrenWithLastArg(pid int, arg string) (pids []int) {
	for _, child := range Children(pid) {
		args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
		if err == nil && strings.HasSuffix(string(args), "\x00"+arg+"\x00") {
			pids = append(pids, child)
		}
	}
	return pids
}

// Children returns the children of a process.
func Children(pid int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		children, _ := os.ReadFile(file)
		for _, field := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// processes returns what a file of each process in /proc holds, if that contains
// text.
func processes(t testing.TB, file, text string) map[int]string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/" + file)
	if err != nil || len(files) == 0 {
		t.Fatalf("found no processes in /proc: %v", err)
	}
	found := make(map[int]string)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(content), text) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		found[pid] = string(content)
	}
	return found
}

// ProcessesWithArg returns the processes with word in their arguments, and how many
// of them are "sleep word".
func ProcessesWithArg(t testing.TB, word string) (pids []int, sleeps int) {
	t.Helper()
	for pid, args := range processes(t, "cmdline", word) {
		pids = append(pids, pid)
		if args == "sleep\x00"+word+"\x00" {
			sleeps++
		}
	}
	return pids, sleeps
}
