package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/changetest"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
)

// TestRESTIsGomas goes through what goma's clients depend on, byte for byte.
func TestRESTIsGomas(t *testing.T) {
	w := newWorld(t, options{})
	exactly := func(c call, kind, body string) {
		t.Helper()
		a := w.want(c, 200)
		if got := a.header.Get("Content-Type"); got != kind || a.body != body {
			t.Errorf("%s %s: got %q %q, want %q %q", c.method, c.path, got, a.body, kind, body)
		}
	}
	const text, object = "text/plain; charset=utf-8", "application/json; charset=utf-8"
	exactly(call{method: "GET", path: "/version"}, text, "1.0")
	exactly(call{method: "GET", path: "/list"}, object, "[]")
	exactly(registerCall(admin, definition("a")), text, "1")
	exactly(registerCall(admin, definition("b")), text, "2")
	exactly(call{method: "GET", path: "/list"}, object, `[{"id":"1","name":"a","running":true,"failing":false},{"id":"2","name":"b","running":true,"failing":false}]`)
	for range 2 {
		exactly(wordCall(1, " stop\n"), "", "")
		exactly(call{method: "GET", path: "/monitor/1"}, object, `{"id":"1","name":"a","running":false,"failing":false}`)
	}
	for range 2 {
		exactly(wordCall(1, "start"), "", "")
		exactly(call{method: "GET", path: "/monitor/001"}, object, `{"id":"1","name":"a","running":true,"failing":false}`)
	}
	exactly(call{method: "DELETE", path: "/monitor/1", token: admin}, "", "")
	exactly(call{method: "GET", path: "/list"}, object, `[{"id":"2","name":"b","running":true,"failing":false}]`)
	exactly(registerCall(admin, definition("a")), text, "3")
}

func TestRESTFailsAsGomaDoesOrBetter(t *testing.T) {
	w := newWorld(t, options{group: nil})
	w.add("a")
	monitorCall := func(method, id, body string) call {
		return call{method: method, path: "/monitor/" + id, body: body, kind: "text/plain", token: admin}
	}
	for _, id := range []string{"0", "2", "x", "-1", "+1", "1x", "99999999999999999999", "9223372036854775808", "%31%00"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			w.want(monitorCall(method, id, "start"), 404, "not found")
		}
	}
	w.want(monitorCall("POST", "1", "restart"), 400, `unknown action "restart": send start or stop`)
	w.want(monitorCall("POST", "1", ""), 400, "unknown action")
	a := w.want(monitorCall("PATCH", "1", ""), 405, "use DELETE, GET, POST")
	if got, want := a.header.Get("Allow"), "DELETE, GET, POST"; got != want {
		t.Errorf("Allow: got %q, want %q", got, want)
	}
	w.want(call{method: "POST", path: "/list", token: admin}, 405, "use GET")
	w.want(call{method: "GET", path: "/register"}, 405, "use POST")
	w.want(call{method: "GET", path: "/monitor/"}, 404, "there is nothing")
	w.want(call{method: "GET", path: "/debug/pprof/"}, 404, "there is nothing")
	w.want(registerCall(admin, strings.Replace(definition("a"), "localhost", "elsewhere", 1)), 409,
		`registering monitor "a": the name is already in use: choose another, or unregister the monitor that has it`)
	w.want(registerCall(admin, `{"name":"b"`), 400, "JSON")
	w.want(registerCall(admin, definition("b")+definition("c")), 400, "unexpected text after")
	w.want(registerCall(admin, `[{"name":"b"}]`), 400, "not a JSON object")
	w.want(registerCall(admin, "name = 'b'\n[probe]\ntype = 'tcp'\n"), 400, "not a JSON object")
	w.want(registerCall(admin, `{"name":"b","probe":{"type":"tcp"},"actoins":[]}`), 400, "actoins")
	w.want(registerCall(admin, `{"name":"b","probe":{"type":"tcp","adress":"x"}}`), 400, "adress")
	w.want(registerCall(admin, `{"name":"b","probe":{"type":"nosuch"}}`), 400, "nosuch", "known are", "tcp")
	w.want(registerCall(admin, `{"name":"b\u0000","probe":{"type":"tcp"}}`), 400, "name")
	w.want(registerCall(admin, `{"name":"b","probe":{"type":"tcp"},"interval":-1}`), 400, "interval")
	if got := len(w.group.List(monitorFilter())); got != 1 {
		t.Errorf("monitors after all that: got %d, want 1", got)
	}
}

// Faults: G46.
func TestIDsAreNeverReusedByHTTP(t *testing.T) {
	w := newWorld(t, options{})
	var last int64
	for range 5 {
		id := w.add("same")
		if id <= last {
			t.Fatalf("id %d after %d", id, last)
		}
		last = id
		w.want(call{method: "DELETE", path: fmt.Sprint("/monitor/", id), token: admin}, 200)
		w.want(call{method: "DELETE", path: fmt.Sprint("/monitor/", id), token: admin}, 404)
	}
}

func TestVerbosityHasTheNamesOfGoma(t *testing.T) {
	w := newWorld(t, options{})
	set := func(method, level string) call {
		return call{method: method, path: "/verbosity", body: level, kind: "text/plain", token: admin}
	}
	for _, level := range []string{"critical", "error", "warning", "info", "debug"} {
		for _, method := range []string{"PUT", "POST"} {
			if a := w.want(set(method, level+"\n"), 200); a.body != "" {
				t.Errorf("body: got %q, want none, as goma", a.body)
			}
			if a := w.want(call{method: "GET", path: "/verbosity"}, 200); a.body != level {
				t.Errorf("got %q, want %q", a.body, level)
			}
		}
	}
	w.want(set("PUT", "warn"), 200)
	if got := w.level.Level(); got != slog.LevelWarn {
		t.Errorf("after goma's other name warn: got %v", got)
	}
	w.want(set("PUT", "loud"), 400, "give one of critical, error, warning, info, debug")
	w.want(set("PUT", ""), 400)
	w.want(set("DELETE", "info"), 405)
	if got := w.level.Level(); got != slog.LevelWarn {
		t.Errorf("after refused levels: got %v", got)
	}
	if !strings.Contains(w.log.String(), "to=critical") {
		t.Error("the log does not tell who made it silent")
	}
}

func TestWithoutGroupAndLevelOnlyTheHealthIsServed(t *testing.T) {
	w := newWorld(t, options{web: func(c *Config) { c.Group, c.Level, c.Version = nil, nil, "v9" }})
	for _, path := range []string{"/healthz", "/readyz", "/version"} {
		w.want(call{method: "GET", path: path}, 200)
	}
	for _, path := range []string{"/list", "/monitor/1", "/verbosity", "/api/v1/monitors"} {
		w.want(call{method: "GET", path: path}, 404)
	}
	if a := w.do(call{method: "GET", path: "/version"}); a.body != "v9" {
		t.Errorf("version: got %q", a.body)
	}
}

func TestHealthTellsTheReport(t *testing.T) {
	components := []Component{{Name: "a", OK: true}}
	w := newWorld(t, options{web: func(c *Config) {
		c.Report = func() Report { return Report{Instance: "one", Components: components} }
	}})
	for _, c := range []struct {
		component Component
		path      string
		status    int
		word      string
	}{
		{Component{OK: true, Needed: true}, "/readyz", 200, StatusOK},
		{Component{}, "/readyz", 200, StatusDegraded},
		{Component{Needed: true}, "/readyz", 503, StatusNotReady},
		{Component{Needed: true}, "/healthz", 200, StatusNotReady},
	} {
		components = []Component{{Name: "a", OK: true}, c.component}
		a := w.want(call{method: "GET", path: c.path}, c.status)
		var r Report
		if err := json.Unmarshal([]byte(a.body), &r); err != nil || r.Status != c.word {
			t.Errorf("%s with %+v: got %q (%v), want %q", c.path, c.component, r.Status, err, c.word)
		}
	}
}

func TestErrorsHaveTheStatusOfTheSharedTable(t *testing.T) {
	statuses := changetest.Statuses()
	statuses[os.ErrDeadlineExceeded] = 408
	statuses[&http.MaxBytesError{}] = 413
	statuses[errors.New("anything else")] = 400
	for err, want := range statuses {
		if got := statusOf(fmt.Errorf("registering: %w", err)); got != want {
			t.Errorf("%v: got %d, want %d", err, got, want)
		}
	}
}

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
	at := w.server.Addr()
	text := strings.ReplaceAll(gomaFile, "ADDRESS", at)
	file := testkit.NewFile(t, "goma.toml", text)
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

// Faults: U7, U11.
func TestMonitorsAreReachedByName(t *testing.T) {
	w := newWorld(t, options{})
	for _, name := range []string{"shop", "a/b ?#%", "..", "1", "日本"} {
		w.want(registerCall(admin, definition(name)), 200)
	}
	for path, id := range map[string]string{
		"shop": "1", "1": "1", "monitor:1": "4", "a%2Fb%20%3F%23%25": "2", "%2E%2E": "3", "%E6%97%A5%E6%9C%AC": "5", "monitor:shop": "1",
	} {
		a := w.want(call{method: "GET", path: "/monitor/" + path}, 200)
		if !strings.HasPrefix(a.body, `{"id":"`+id+`"`) {
			t.Errorf("%s: got %s, want id %s", path, a.body, id)
		}
	}
	w.want(call{method: "GET", path: "/monitor/shpo"}, 404, `monitor "shpo": not found; did you mean "shop"?`)
	a := w.want(call{method: "POST", path: "/monitor/shop", body: "stop", kind: "text/plain", token: admin}, 200)
	if note := a.header.Get(NoteHeader); note != "stays stopped until it is started, also over edits and reloads, but not over a restart: there is no --state_dir" {
		t.Errorf("stopping: %q", note)
	}
	for _, path := range []string{"/monitor/shop?verbose=true", "/list?verbose=true"} {
		a = w.want(call{method: "GET", path: path}, 200, `"id":"1","name":"shop","running":false,"failing":false,"state":"STOPPED"`, `"stopped_at":"20`, `"origin":"api"`)
	}
	a = w.want(registerCall(admin, definition("shop")), 200)
	if note := a.header.Get(NoteHeader); a.body != "1" || note != "was registered before and stays stopped; nothing has changed" {
		t.Errorf("registering again: %s, %q", a.body, note)
	}
	a = w.want(registerCall(admin, definition("1")), 200)
	if note := a.header.Get(NoteHeader); a.body != "4" || note != "was registered before; nothing has changed" {
		t.Errorf("registering a running one again: %s, %q", a.body, note)
	}
	w.want(call{method: "DELETE", path: "/monitor/%2E%2E", token: admin}, 200)
	w.want(call{method: "DELETE", path: "/monitor/%2E%2E", token: admin}, 404)
}
