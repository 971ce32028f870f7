package cli

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	guardian "github.com/microhq/monitor-srv/command"
)

// fakeProc returns a directory like /proc in which processes of this program, and one
// of another, run with command lines and variables.
func fakeProc(t *testing.T, processes map[int][2]string) string {
	t.Helper()
	dir := t.TempDir()
	link := func(target string, path ...string) {
		file := filepath.Join(append([]string{dir}, path...)...)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, file); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link(self, "self", "exe")
	link("/bin/sh", "7", "exe")
	for pid, p := range processes {
		name := strconv.Itoa(pid)
		link(self, name, "exe")
		write(t, filepath.Join(dir, name, "cmdline"), strings.ReplaceAll(p[0], " ", "\x00")+"\x00")
		write(t, filepath.Join(dir, name, "environ"), p[1]+"\x00")
	}
	return dir
}

// Faults: M4.
func TestRunningInstanceIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		processes map[int][2]string
		want      string
	}{
		"none":                {nil, ""},
		"no flags":            {map[int][2]string{1: {"/monitor-srv"}}, "127.0.0.1:3838"},
		"a flag":              {map[int][2]string{1: {"/monitor-srv -s 0.0.0.0:9000"}}, "127.0.0.1:9000"},
		"a long flag":         {map[int][2]string{1: {"/monitor-srv serve --http_address=10.1.2.3:80 --registry memory"}}, "10.1.2.3:80"},
		"a port only":         {map[int][2]string{1: {"/monitor-srv -s :9000"}}, "127.0.0.1:9000"},
		"a variable":          {map[int][2]string{1: {"/monitor-srv", "PATH=/\x00MONITOR_HTTP_ADDRESS=[::]:9001"}}, "127.0.0.1:9001"},
		"flag and variable":   {map[int][2]string{1: {"/monitor-srv -s :9000", "MONITOR_HTTP_ADDRESS=:9001"}}, "127.0.0.1:9000"},
		"behind an init":      {map[int][2]string{8: {"/monitor-srv -s :9000"}, 9: {"/monitor-srv health"}, 10: {"/monitor-srv -s :9009 list"}}, "127.0.0.1:9000"},
		"demo":                {map[int][2]string{8: {"/monitor-srv demo -s :9000"}}, "127.0.0.1:9000"},
		"its own guardian":    {map[int][2]string{8: {"/monitor-srv -s :9000"}, 12: {"/proc/self/exe " + guardian.GuardianWord}}, "127.0.0.1:9000"},
		"PID 1 among several": {map[int][2]string{1: {"/monitor-srv -s :9000"}, 8: {"/monitor-srv -s :9001"}}, "127.0.0.1:9000"},
		"a random port":       {map[int][2]string{1: {"/monitor-srv -s :0"}}, ""},
		"an empty word":       {map[int][2]string{1: {"/monitor-srv --config_dir  -s :9000"}}, "127.0.0.1:9000"},
		"wrong flags":         {map[int][2]string{1: {"/monitor-srv --no_such_flag"}}, ""},
	} {
		got, err := runningAddress(fakeProc(t, c.processes))
		if got != c.want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, c.want)
		}
	}
	_, err := runningAddress(fakeProc(t, map[int][2]string{8: {"/monitor-srv -s :9000"}, 9: {"/monitor-srv -s :9001"}}))
	if err == nil || !strings.Contains(err.Error(), "2 instances run here") || !strings.Contains(err.Error(), "name one with --http_address") {
		t.Errorf("two instances: %v", err)
	}
	if got, err := runningAddress(filepath.Join(t.TempDir(), "none")); got != "" || err != nil {
		t.Errorf("without /proc: %q, %v", got, err)
	}
}
