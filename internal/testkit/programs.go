package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// ProcessesWithEnv returns the processes whose environment contains text.
func ProcessesWithEnv(t testing.TB, text string) (pids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no processes in /proc: %v", err)
	}
	for _, file := range files {
		if env, err := os.ReadFile(file); err == nil && strings.Contains(string(env), text) {
			pids = append(pids, filepath.Base(filepath.Dir(file)))
		}
	}
	return pids
}

// ProcessesWithArg returns the processes with word in their arguments, and how many
// of them are "sleep word".
func ProcessesWithArg(t testing.TB, word string) (pids []int, sleeps int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no processes in /proc: %v", err)
	}
	for _, file := range files {
		args, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(args), word) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
		if string(args) == "sleep\x00"+word+"\x00" {
			sleeps++
		}
	}
	return pids, sleeps
}
