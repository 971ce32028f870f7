package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// example is one command of the README with the output shown below it.
type example struct{ command, output string }

// tour reads the commands behind "$ " and what is shown below each.
func tour(t *testing.T) []example {
	t.Helper()
	text := testkit.ReadFile(t, "README.md")
	var all []example
	inside := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case inside && strings.HasPrefix(line, "$ "):
			all = append(all, example{command: line[2:]})
		case inside && len(all) > 0:
			all[len(all)-1].output += line + "\n"
		}
	}
	return all
}

// stable replaces what differs from run to run.
func stable(s string) string {
	s = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`).ReplaceAllString(s, "ID")
	s = regexp.MustCompile(`\b1[0-9]{9}([0-9]{6})?\b`).ReplaceAllString(s, "TIME")
	return strings.TrimSpace(s)
}

// Every command of the tour is run against what "make run" starts, at the ports
// that the README shows, and prints what the README says it prints.
func TestReadmeTour(t *testing.T) {
	micro := testkit.Tool(t, "micro", "MICRO_BIN")
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"micro": micro, "monitor-srv": "bin/monitor-srv"} {
		target, err := filepath.Abs(target)
		if err == nil {
			err = os.Symlink(target, filepath.Join(dir, "bin", name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m := &subject{}
	m.process = start(t, nil, "make", "run")
	t.Cleanup(func() { _, _ = m.terminate() }) // make passes it on, but not SIGKILL
	testkit.Eventually(t, 2*time.Minute, "the demo explains itself", func() bool { return strings.Contains(m.output(), "Ctrl-C ends it.") })
	m.http = "127.0.0.1:3838"
	testkit.Eventually(t, 20*time.Second, "the sample is RUNNING", func() bool {
		out, _ := exec.Command("bash", "-c", "MICRO_PROXY=127.0.0.1:3839 "+micro+` call go.micro.srv.monitor Monitor.Status '{"service": "go-server"}'`).Output()
		return strings.Contains(string(out), "running_nodes")
	})
	text := testkit.ReadFile(t, "README.md")
	testkit.ReplaceFile(t, filepath.Join(dir, "ready.toml"), blocks(string(text), "toml")[0])
	var script strings.Builder
	examples := tour(t)
	for _, e := range examples {
		command := e.command
		if strings.HasPrefix(command, "make ") {
			command = ":" // what it builds is there already
		}
		script.WriteString("echo '@@@'\n" + command + " 2>&1 || true\n")
	}
	cmd := exec.Command("bash", "-c", script.String())
	cmd.Dir, cmd.Env = dir, cleanEnv()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	printed := strings.Split(string(out), "@@@\n")[1:]
	if len(printed) != len(examples) || len(examples) < 8 {
		t.Fatalf("%d commands, %d outputs", len(examples), len(printed))
	}
	for i, e := range examples {
		if strings.HasSuffix(e.command, " health") {
			e.output = "ok " + versionOf(t)
		}
		if got, want := unmeasured(stable(printed[i])), unmeasured(stable(e.output)); got != want {
			t.Errorf("$ %s\ngot  %s\nwant %s", e.command, got, want)
		}
	}
}

// versionOf returns the version of the program that make built.
func versionOf(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("bin/monitor-srv", "version").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// "make demo" starts a Consul agent, and the micro command finds the service in
// it without a variable.
func TestMakeDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Consul agent on its usual ports")
	}
	m := &subject{}
	m.process = start(t, nil, "make", "demo")
	t.Cleanup(func() { _, _ = m.terminate() })
	testkit.Eventually(t, 2*time.Minute, "the demo explains itself", func() bool { return strings.Contains(m.output(), "Ctrl-C ends it.") })
	stdout, stderr, code := m.micro("call", srv, "Monitor.HealthChecks", `{"id": "go.micro.healthcheck.ping"}`)
	if code != 0 || !strings.Contains(stdout, `"msg":"a successful check"`) {
		t.Errorf("micro call: exit %d, %s%s", code, stdout, stderr)
	}
}

// The targets of make that the documents name exist.
func TestDocumentsNameWhatThereIs(t *testing.T) {
	makefile := testkit.ReadFile(t, "Makefile")
	for file, text := range documents(t) {
		for _, m := range regexp.MustCompile("(?m)(?:^|`|\\$ )make ([a-z-]+)").FindAllStringSubmatch(text, -1) {
			if !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%s names make %s, which is not there", file, m[1])
			}
		}
	}
}
