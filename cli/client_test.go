package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/web"
)

// commandLines are those that ask an instance, with what a server may answer to them
// and what they print then, as a table and as JSON. {} is a file of one monitor.
func commandLines() []struct{ line, route, answer, table, json string } {
	const one, quoted = `{"id": "1", "name": "a", "running": true, "failing": false}`, "{\n  \"id\": \"1\",\n  \"name\": \"a\",\n  \"running\": true,\n  \"failing\": false\n}\n"
	return []struct{ line, route, answer, table, json string }{
		{
			"list", "GET /list", "[" + one + "]",
			"ID        Name                              Running  Failing\n1         a                                 true     false\n",
			"[\n  " + strings.TrimSpace(strings.ReplaceAll(quoted, "\n", "\n  ")) + "\n]\n",
		},
		{"show 1", "GET /monitor/1", one, "Name: a\nRunning: true\nFailing: false\n", quoted},
		{"start 1", "POST /monitor/1", "", "Started.\n", "{\n  \"id\": \"1\",\n  \"result\": \"started\"\n}\n"},
		{"stop 1", "POST /monitor/1", "", "Stopped.\n", "{\n  \"id\": \"1\",\n  \"result\": \"stopped\"\n}\n"},
		{"unregister 1", "DELETE /monitor/1", "", "Unregistered.\n", "{\n  \"id\": \"1\",\n  \"result\": \"unregistered\"\n}\n"},
		{"register {}", "POST /register", "7", "a is registered and started as monitor id=7\n", "[\n  {\n    \"id\": \"7\",\n    \"name\": \"a\"\n  }\n]\n"},
		{"verbosity", "GET /verbosity", "info", "info\n", "{\n  \"verbosity\": \"info\"\n}\n"},
		{"verbosity debug", "PUT /verbosity", "", "success.\n", "{\n  \"verbosity\": \"debug\"\n}\n"},
		{
			"health", "GET /readyz", `{"status": "ok", "instance": "i", "version": "v1", "started": "2026-01-02T03:04:05Z", "parts": []}`,
			"ok v1\n", "{\n  \"status\": \"ok\",\n  \"instance\": \"i\",\n  \"version\": \"v1\",\n  \"started\": \"2026-01-02T03:04:05Z\",\n  \"parts\": []\n}\n",
		},
	}
}

// wordsOf splits a line, with the path of a file that defines one monitor for {}.
func wordsOf(t *testing.T, line string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.toml")
	write(t, file, "[[monitor]]\nname = \"a\"\nprobe = { type = \"tcp\", address = \"127.0.0.1:9\" }\n")
	return strings.Fields(strings.ReplaceAll(line, "{}", file))
}

// What each command prints as a table is goma's, and as JSON what the reference says.
//
// Faults: U9.
func TestOutputsOfCommands(t *testing.T) {
	for _, c := range commandLines() {
		address := instance(t, map[string]string{c.route: c.answer})
		words := wordsOf(t, c.line)
		for _, form := range []struct {
			flags []string
			want  string
		}{{nil, c.table}, {[]string{"-o", "table"}, c.table}, {[]string{"-o=json"}, c.json}} {
			stdout, stderr, code := monitorSrv(t, "", join(words, form.flags, []string{"-s", address})...)
			if code != ExitOK || stdout != form.want || stderr != "" {
				t.Errorf("%s %v: exit %d, %s\ngot  %s\nwant %s", c.line, form.flags, code, stderr, stdout, form.want)
			}
		}
	}
	stdout, _, code := monitorSrv(t, "", "version", "-o", "json")
	if code != ExitOK || stdout != "{\n  \"version\": \"v1.2.3\"\n}\n" {
		t.Errorf("version: exit %d, %s", code, stdout)
	}
	stdout, stderr, code := monitorSrv(t, "[[monitor]]\nintervall = 1\n", "check", "-o", "json", "-")
	want := "{\n  \"monitors\": 0,\n  \"receivers\": 0,\n  \"problems\": [\n    {\n      \"file\": \"standard input\",\n      \"line\": 1,\n      \"warning\": false,\n      \"error\": "
	if code != ExitFailed || !strings.HasPrefix(stdout, want) || !strings.Contains(stderr, " in standard input") {
		t.Errorf("check: exit %d, %s\n%s", code, stderr, stdout)
	}
}

// No command believes a server that is not monitor-srv, whatever that answers.
//
// Faults: U6.
func TestCommandsAskOnlyMonitorSrv(t *testing.T) {
	for _, c := range commandLines() {
		words := wordsOf(t, c.line)
		for _, status := range []int{http.StatusOK, http.StatusFound, http.StatusNotFound} {
			address := ""
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" { // where an instance is, which nobody asked for
					w.Header().Set(web.VersionHeader, "v1.2.3")
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, c.answer)
			}))
			address = server.Listener.Addr().String()
			stdout, stderr, code := monitorSrv(t, "", join(words, []string{"-s", address})...)
			server.Close()
			want := fmt.Sprintf("%q is not monitor-srv: it answers %d %s without the header X-Monitor-Version; give the address of an instance with --http_address\n", address, status, http.StatusText(status))
			if code != ExitFailed || stdout != "" || !strings.HasSuffix(stderr, want) {
				t.Errorf("%s, %d: exit %d, %q, %q; want %s", c.line, status, code, stdout, stderr, want)
			}
		}
	}
}

// The token of -s is sent wherever the flag stands, and else that of the variable;
// health sends none.
func TestTokensAreSent(t *testing.T) {
	var sent string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("Authorization")
		w.Header().Set(web.VersionHeader, "v1.2.3")
		_, _ = io.WriteString(w, `{"status": "ok"}`)
	}))
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	t.Setenv("MONITOR_TOKEN", "VARIABLE")
	for line, want := range map[string]string{
		"-s x:TOKEN@ADDRESS stop 1":              "Bearer TOKEN",
		"stop 1 -s x:TOKEN@ADDRESS":              "Bearer TOKEN",
		"stop --http_address=x:TOKEN@ADDRESS 1":  "Bearer TOKEN",
		"stop 1 -s http://x:TOKEN@ADDRESS/":      "Bearer TOKEN",
		"stop 1 -s ADDRESS":                      "Bearer VARIABLE",
		"health -http_address x:TOKEN@ADDRESS":   "",
		"-s http://ADDRESS verbosity debug":      "Bearer VARIABLE",
		"verbosity -http_address=ADDRESS --info": "unsent",
	} {
		sent = "unsent"
		_, stderr, code := monitorSrv(t, "", strings.Fields(strings.ReplaceAll(line, "ADDRESS", address))...)
		if sent != want || (code == ExitOK) != (want != "unsent") {
			t.Errorf("%s: exit %d, sent %q, want %q; %s", line, code, sent, want, stderr)
		}
	}
}

// An instance that is not ready is told apart from a server that is none.
func TestHealthOfAnInstanceThatIsNotReady(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(web.VersionHeader, "v1.2.3")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"status": "not ready", "version": "v1", "parts": [{"name": "broker", "ok": false, "since": "2026-01-02T03:04:05Z", "reason": "away", "needed": true}]}`)
	}))
	t.Cleanup(server.Close)
	stdout, stderr, code := monitorSrv(t, "", "health", "-s", server.URL)
	if want := "not ready v1\nbroker: failing since 2026-01-02T03:04:05Z: away\n"; code != ExitFailed || stdout != want || !strings.Contains(stderr, "is not ready") {
		t.Errorf("exit %d, %q, %s", code, stdout, stderr)
	}
}

// register prints as JSON what was taken before a refusal.
func TestRegisterAsJSONUntilTheFirstRefusal(t *testing.T) {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(web.VersionHeader, "v1.2.3")
		if n++; n > 1 {
			w.WriteHeader(http.StatusConflict)
		}
		_, _ = io.WriteString(w, "1")
	}))
	t.Cleanup(server.Close)
	const two = "[[monitor]]\nname = \"a\"\nprobe = { type = \"tcp\", address = \"h:1\" }\n[[monitor]]\nname = \"b\"\nprobe = { type = \"tcp\", address = \"h:1\" }\n"
	stdout, stderr, code := monitorSrv(t, two, "register", "-", "-o", "json", "-s", server.URL)
	if code != ExitFailed || stdout != "[\n  {\n    \"id\": \"1\",\n    \"name\": \"a\"\n  }\n]\n" || !strings.Contains(stderr, "registering monitor \"b\"") {
		t.Errorf("exit %d, %q, %s", code, stdout, stderr)
	}
}

// TestHealthIsStrictIfAsked asks an instance with a failing component that is not
// needed.
// Faults: U13.
func TestHealthIsStrictIfAsked(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(web.VersionHeader, "v1")
		_, _ = w.Write([]byte(`{"status": "degraded", "version": "v1", "parts": [{"name": "queue", "ok": false, "reason": "full"}]}`))
	}))
	defer s.Close()
	for want, args := range map[int][]string{ExitOK: {"health", "-s", s.URL}, ExitFailed: {"health", "--strict", "-s", s.URL}} {
		if stdout, stderr, code := monitorSrv(t, "", args...); code != want || !strings.HasPrefix(stdout, "degraded v1\n") {
			t.Errorf("%q: exit %d\n%s%s", args, code, stdout, stderr)
		}
	}
}
