package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/web"
)

// Faults: U7, U11.
func TestCommandsTakeNamesAndShowStates(t *testing.T) {
	const details = `{"id":"3","name":"日本 shop","running":false,"failing":true,"state":"STOPPED","value":13.999986661408867,"error":"value 14 is above max 10","since":"2026-01-02T03:04:05Z","last_probe":"2026-01-02T03:04:05Z","stopped_at":"2026-01-02T03:05:00Z","probe":"http","actions":["mail","ops"],"origin":"file:shop.toml"}`
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(web.VersionHeader, "v1.2.3")
		asked = append(asked, r.Method+" "+r.URL.EscapedPath())
		switch r.Method {
		case http.MethodGet:
			if r.URL.Path == "/list" {
				_, _ = io.WriteString(w, "["+details+`,{"id":"10","name":"disk","running":true,"failing":false,"state":"WARNING"}]`)
				return
			}
			_, _ = io.WriteString(w, details)
		case http.MethodPost:
			w.Header().Set(web.NoteHeader, "stays as it is")
			if r.URL.Path == "/register" {
				_, _ = io.WriteString(w, "3")
			}
		case http.MethodDelete:
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "send the header Authorization")
		}
	}))
	t.Cleanup(server.Close)
	at := server.Listener.Addr().String()
	for _, c := range []struct{ line, want, route string }{
		{"list", "ID        Name                              Running  Failing  State\n3         日本 shop                         false    true     STOPPED\n10        disk                              true     false    WARNING\n", "GET /list"},
		{"show a/b", "Name: 日本 shop\nRunning: false\nFailing: true\nState: STOPPED since 2026-01-02T03:04:05Z\nStopped: 2026-01-02T03:05:00Z; it stays stopped until it is started\nValue: 14\nError: value 14 is above max 10\nProbe: http, last at 2026-01-02T03:04:05Z\nActions: mail, ops\nDefined in: file:shop.toml\n", "GET /monitor/a%2Fb"},
		{"stop ..", "Stopped.\nIt stays as it is.\n", "POST /monitor/%2E%2E"},
		{"stop shop -o json", "{\n  \"id\": \"3\",\n  \"result\": \"stopped\",\n  \"note\": \"stays as it is\"\n}\n", "POST /monitor/shop"},
		{"register {}", "a stays as it is: monitor id=3\n", "POST /register"},
	} {
		stdout, stderr, code := monitorSrv(t, "", join(wordsOf(t, c.line), []string{"-s", at})...)
		if code != ExitOK || stdout != c.want || asked[len(asked)-1] != c.route {
			t.Errorf("%s: exit %d, %s, asked %q\ngot  %s\nwant %s", c.line, code, stderr, asked, stdout, c.want)
		}
	}
	stdout, _, _ := monitorSrv(t, "", "show", "3", "-o", "json", "-s", at)
	if !strings.Contains(stdout, `"value": 13.999986661408867`) {
		t.Errorf("the value in JSON is not exact: %s", stdout)
	}
	for token, want := range map[string]string{
		"":   `"` + at + `" says 401 Unauthorized: a token is needed: give it as in -s x:TOKEN@` + at + ", or in MONITOR_TOKEN",
		"no": `"` + at + `" says 401 Unauthorized: the token is unknown there: give another one as in -s x:TOKEN@` + at + ", or in MONITOR_TOKEN",
	} {
		_, stderr, code := monitorSrv(t, "", "unregister", "shop", "-s", "x:"+token+"@"+at)
		if code != ExitFailed || !strings.Contains(stderr, want) {
			t.Errorf("token %q: exit %d, %s; want %s", token, code, stderr, want)
		}
	}
}

// Faults: U5.
func TestReceiversAreListed(t *testing.T) {
	const answer = `{"receivers":[{"name":"mail#0123456789ab","kind":"mail","ok":false,"since":"2026-01-02T03:04:05Z","pending":2,"last_error":"connecting: refused","next_attempt":"2026-01-02T03:09:00Z"},{"name":"当番","kind":"notify","ok":true,"since":"2026-01-02T03:00:00Z","pending":0}]}`
	at := instance(t, map[string]string{"GET /api/v1/receivers": answer})
	stdout, stderr, code := monitorSrv(t, "", "receivers", "-s", at)
	want := `Name               Kind    State    Since                 Pending  Next attempt
mail#0123456789ab  mail    FAILING  2026-01-02T03:04:05Z  2        2026-01-02T03:09:00Z
当番               notify  OK       2026-01-02T03:00:00Z  0        -

mail#0123456789ab: connecting: refused
`
	if code != ExitOK || stdout != want {
		t.Errorf("exit %d, %s\ngot\n%s\nwant\n%s", code, stderr, stdout, want)
	}
	stdout, stderr, code = monitorSrv(t, "", "receivers", "-o", "json", "-s", at)
	if code != ExitOK || !strings.HasPrefix(stdout, "[\n  {\n    \"name\": \"mail#0123456789ab\",\n    \"kind\": \"mail\",\n    \"ok\": false,") {
		t.Errorf("exit %d, %s\n%s", code, stderr, stdout)
	}
}
