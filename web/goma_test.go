package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/monitor"
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
		w.want(call{method: "DELETE", path: "/monitor/" + strconv.FormatInt(id, 10), token: admin}, 200)
		w.want(call{method: "DELETE", path: "/monitor/" + strconv.FormatInt(id, 10), token: admin}, 404)
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
	for err, want := range map[error]int{
		access.ErrUnauthorized:      401,
		access.ErrNoToken:           403,
		access.ErrForbidden:         403,
		access.ErrTooMany:           429,
		&monitor.RateError{}:        429,
		monitor.ErrNotFound:         404,
		monitor.ErrExists:           409,
		monitor.ErrTooLarge:         413,
		monitor.ErrInvalid:          400,
		monitor.ErrFull:             507,
		monitor.ErrJournal:          503,
		os.ErrDeadlineExceeded:      408,
		&http.MaxBytesError{}:       413,
		errors.New("anything else"): 400,
	} {
		if got := statusOf(fmt.Errorf("registering: %w", err)); got != want {
			t.Errorf("%v: got %d, want %d", err, got, want)
		}
	}
}
