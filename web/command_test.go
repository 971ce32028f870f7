package web

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
)

// goma runs goma's command against the world as the owner of a token.
type goma struct {
	t          *testing.T
	path, at   string
	successful bool
}

func (g goma) run(stdin string, args ...string) (stdout string) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, g.path, append([]string{"-s", g.at}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); (err == nil) != g.successful {
		g.t.Fatalf("goma %v: %v\n%s%s", args, err, out.String(), errs.String())
	}
	if !g.successful {
		return errs.String()
	}
	return out.String()
}

// lines compares what was written word by word: goma pads its columns.
func (g goma) lines(got string, want ...string) {
	g.t.Helper()
	var have []string
	for line := range strings.Lines(got) {
		have = append(have, strings.Join(strings.Fields(line), " "))
	}
	if strings.Join(have, "\n") != strings.Join(want, "\n") {
		g.t.Errorf("got\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

// gomaFile is a file as goma takes it; ADDRESS is that of something healthy.
const gomaFile = `
[[monitor]]
name = "web site"
interval = 10
timeout = 5
max = 0.3
  [monitor.probe]
  type = "http"
  url = "http://ADDRESS/version"
  errval = 1.0
  [monitor.filter]
  type = "average"
  window = 3
  [[monitor.actions]]
  type = "http"
  url_fail = "http://localhost:1/fail"
  method = "post"
  timeout = 3

[[monitor]]
name = "port"
  [monitor.probe]
  type = "tcp"
  address = "ADDRESS"
`

// TestGomasOwnCommandDrivesThePort runs goma v1.0.3 with each of its commands.
func TestGomasOwnCommandDrivesThePort(t *testing.T) {
	w := newWorld(t, options{group: func(c *monitor.Config) {
		c.Probes = probe.Builtin()
	}})
	file := filepath.Join(t.TempDir(), "goma.toml")
	at := w.server.Addr()
	text := strings.ReplaceAll(gomaFile, "ADDRESS", at)
	testkit.WriteFile(t, file, text)
	as := func(token string, successful bool) goma {
		return goma{t, testkit.Tool(t, "goma", "GOMA_BIN"), "x:" + token + "@" + at, successful}
	}
	g := as(admin, true)
	const header = "ID Name Running Failing"
	g.lines(g.run("", "list"), header)
	g.lines(g.run("", "register", file),
		"web site is registered and started as monitor id=1", "port is registered and started as monitor id=2")
	first, _, _ := strings.Cut(text, "\n[[monitor]]\nname = \"port\"")
	g.lines(g.run(strings.Replace(first, "web site", "other", 1), "register", "-"),
		"other is registered and started as monitor id=3")
	g.lines(g.run("", "list"), header, "1 web site true false", "2 port true false", "3 other true false")
	g.lines(g.run("", "stop", "2"), "Stopped.")
	g.lines(g.run("", "show", "2"), "Name: port", "Running: false", "Failing: false")
	g.lines(g.run("", "start", "2"), "Started.")
	g.lines(g.run("", "show", "2"), "Name: port", "Running: true", "Failing: false")
	g.lines(g.run("", "unregister", "1"), "Unregistered.")
	g.lines(g.run("", "list"), header, "2 port true false", "3 other true false")
	g.lines(g.run("", "verbosity"), "info")
	g.lines(g.run("", "verbosity", "error"), "success.")
	g.lines(g.run("", "verbosity"), "error")

	bad := as(admin, false)
	bad.lines(bad.run("", "show", "1"), "Server error: 404 Not Found", `monitor 1: not found`)
	bad.lines(bad.run("", "verbosity", "loud"), "Server error: 400 Bad Request", `the level "loud" is not known: give one of critical, error, warning, info, debug`)
	// G31: the file again registers what is missing, and leaves the rest as it is.
	g.lines(g.run("", "register", file),
		"web site is registered and started as monitor id=4", "port is registered and started as monitor id=2")
	changed := strings.Replace(text, `type = "tcp"`, "type = \"tcp\"\n  send = \"x\"", 1)
	if got := bad.run(changed, "register", "-"); !strings.Contains(got, "409 Conflict") || !strings.Contains(got, `monitor "port": the name is already in use`) {
		t.Errorf("registering another of the name: %s", got)
	}
	for token, want := range map[string]string{"": "401 Unauthorized", "wrong": "401 Unauthorized", viewer: "403 Forbidden"} {
		g := as(token, false)
		if got := g.run("", "unregister", "2"); !strings.Contains(got, want) || strings.Count(got, "\n") != 2 {
			t.Errorf("token %q: %s", token, got)
		}
	}
	// Reading needs no token, as it never did.
	reader := goma{t, testkit.Tool(t, "goma", "GOMA_BIN"), at, true}
	reader.lines(reader.run("", "show", "3"), "Name: other", "Running: true", "Failing: false")
	if got := w.info(3); got.Timeout != 5*time.Second || got.Filter != "average" || got.Thresholds.Max != 0.3 {
		t.Errorf("what came over: %+v", got)
	}
}
