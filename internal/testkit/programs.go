package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// script returns the keys of an exec action that runs a shell script.
func ShellKeys(text string) string {
	return fmt.Sprintf("command = \"/bin/sh\"\nargs = [\"-c\", %q]\n", text)
}

// clinging starts four more processes that nothing but SIGKILL ends, and touches a
// file once all of them run.
func ClingingScript(file string) string {
	return "trap '' TERM; sleep 100 & setsid sleep 100 & (setsid sh -c 'sleep 100; true' >/dev/null 2>&1 &) ; touch " + file + "; sleep 100; sleep 100"
}

// carrying returns the processes whose environment holds the text.
func ProcessesCarrying(t *testing.T, text string) (pids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil || len(files) == 0 {
		t.Fatalf("no processes in /proc: %v", err)
	}
	for _, file := range files {
		if env, err := os.ReadFile(file); err == nil && strings.Contains(string(env), text) {
			pids = append(pids, filepath.Base(filepath.Dir(file)))
		}
	}
	return pids
}
