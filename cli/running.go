package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	guardian "github.com/microhq/monitor-srv/command"
)

// addressVariable names the address if no flag does.
const addressVariable = "MONITOR_HTTP_ADDRESS"

// runningAddress returns the address at which an instance serves on this machine, or in
// this container: that of PID 1 if it is one, else that of the only one that can be
// found. It is empty if there is none. A health check of a container image is the same
// command whatever flags the container has.
func runningAddress(proc string) (string, error) {
	self, err := os.Stat(filepath.Join(proc, "self", "exe"))
	if err != nil {
		return "", nil
	}
	entries, err := os.ReadDir(proc)
	if err != nil {
		return "", nil
	}
	var found []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		dir := filepath.Join(proc, e.Name())
		exe, err := os.Stat(filepath.Join(dir, "exe"))
		if err != nil || !os.SameFile(self, exe) { // another program, or another user's
			continue
		}
		address := addressOf(procWords(dir, "cmdline"), procWords(dir, "environ"))
		if address != "" && pid == 1 {
			return address, nil
		}
		if address != "" && !slices.Contains(found, address) {
			found = append(found, address)
		}
	}
	if len(found) > 1 {
		return "", usageError{fmt.Errorf("%d instances run here, at %s: name one with --%s", len(found), strings.Join(found, ", "), flagHTTPAddress)}
	}
	return strings.Join(found, ""), nil
}

// addressOf returns the address to ask of the instance that runs with a command line and
// variables; empty if it serves nothing, or at a port that only it knows.
func addressOf(words, environ []string) string {
	if len(words) == 0 || guardian.IsGuardian(words) {
		return ""
	}
	address := ""
	root := newRoot(Process{Stdout: io.Discard, Stderr: io.Discard}, func(_ context.Context, c command, inv *invocation) error {
		if c.serves {
			address = inv.options.address
			if !inv.given(flagHTTPAddress) {
				address = variableIn(environ, addressVariable, address)
			}
		}
		return nil
	})
	arranged, err := arrange(root, words[1:])
	if err != nil {
		return ""
	}
	root.SetArgs(arranged)
	if err := root.Execute(); err != nil {
		return ""
	}
	t, err := parseTarget(address)
	if address == "" || err != nil {
		return ""
	}
	return t.address
}

// variableIn returns the value of a variable of the environment, or unset.
func variableIn(environ []string, name, unset string) string {
	for _, e := range environ {
		if value, ok := strings.CutPrefix(e, name+"="); ok && value != "" {
			return value
		}
	}
	return unset
}

// procWords returns the words of a file in /proc, each of which ends with NUL; they may be
// empty. The kernel bounds them.
func procWords(dir, file string) []string {
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil || len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}
