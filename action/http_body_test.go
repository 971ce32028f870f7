package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// hookWithBody makes an http action that sends failures with a body.
func hookWithBody(tb testing.TB, addr, contentType, body string) *httpAction {
	tb.Helper()
	keys := fmt.Sprintf("url_fail = %q\nbody = '''%s'''\n", addr, body)
	if contentType != "" {
		keys += fmt.Sprintf("content_type = %q\n", contentType)
	}
	return build(tb, "http", keys).(*httpAction)
}

// Faults: C19.
func TestBodiesThatATextCanBreakAreWarnedOf(t *testing.T) {
	const plain = "even with plain texts"
	for _, c := range []struct{ contentType, body, want string }{
		{"", `{"text": "{{.Error}}"}`, "body: a quote, a line break or the like in .Error breaks the JSON: write {{json .Error}}, without quotes around it"},
		{"", `{"text": {{json .Error}}}`, ""},
		{"", `{"text": {{json .Error}}, "monitor": "{{.Monitor}}"}`, "in .Monitor breaks the JSON"},
		{"", `{"text": {{json .Error}}, "team": "{{.Labels.team}}"}`, "in .Labels.team breaks the JSON"},
		{"", `{"text": {{json .Error}}, "team": "{{index .Labels "the team"}}"}`, "in .Labels.the team breaks the JSON"},
		{"", `{"all": {{json .Labels}}, "id": "{{.Incident}}", "since": "{{.Since}}", "host": "{{.Host}}"}`, ""},
		{"", `{"a": [{{range $k, $v := .Labels}}"{{$v}}",{{end}}"z"]}`, "in .Labels.sample breaks the JSON"},
		{"", `{"text": "{{if .Error}}{{.Error}}{{else}}fine{{end}}"}`, "in .Error breaks the JSON"},
		{"application/vnd.x+json; charset=utf-8", `{"text": "{{.Error}}"}`, "in .Error breaks the JSON"},
		{"TEXT/JSON", `{"text": "{{.Error}}"}`, "in .Error breaks the JSON"},
		{"", `just {{.Error}}`, plain},
		{"", `{"text": {{.Error}}}`, plain},
		{"", `{"text": {{json .Error}},}`, plain},
		{"text/plain", `just "{{.Error}}"`, ""},
		{"application/x-www-form-urlencoded", `text={{.Error}}&v={{.Value}}`, "in .Error breaks the form: write {{urlquery .Error}}"},
		{"application/x-www-form-urlencoded", `text={{urlquery .Error}}&v={{.Value}}`, ""},
		{"application/xml", `<a b="{{.Error}}">{{.Monitor}}</a>`, "in .Error breaks the XML: write {{html .Error}}"},
		{"application/soap+xml", `<a>{{html .Error}}</a>`, ""},
		{"text/xml", `<a>{{html .Error}}</a>`, ""},
	} {
		a := hookWithBody(t, "http://127.0.0.1:1/", c.contentType, c.body)
		all := fmt.Sprint(a.Warnings())
		if c.want == "" && len(a.Warnings()) > 0 || !strings.Contains(all, c.want) {
			t.Errorf("%s %s: got %s, want %q", c.contentType, c.body, all, c.want)
		}
	}
	for _, c := range []struct{ contentType, body string }{
		{"application/json", `{"text": {{.Error}}}`}, {"application/xml", `<a>{{.Error}}`}, {"text/xml", `x`},
		{"application/json", `{"text": {{slice .Error 0 5}}}`}, {"text/plain", `{{if .Error}}{{slice .Error 0 100}}{{end}}`},
	} {
		_, err := newHTTP(testkit.DecodeTOML(fmt.Sprintf("url_fail = \"http://x\"\nbody = '''%s'''\ncontent_type = %q", c.body, c.contentType)), testEnv)
		if err == nil || !strings.HasPrefix(err.Error(), "body: ") {
			t.Errorf("%s %q: got %v", c.contentType, c.body, err)
		}
	}
}

// oddTexts are what a target may say.
func oddTexts() []string {
	return []string{
		"", "plain", `want "^200"`, "two\nlines", "\r\n\r\n", "tab\t", `back\slash`, `\`, `\"`, `\u0041`, "🙂 \U0001F600", "\u2028\u2029", "\u202e",
		"\x00\x01\x1f\x7f", "\xff\xfe", "\xed\xa0\x80", `","admin":"true`, `"}{"a":"b`, `</script><!--`, "&a=b&text=c;d", "%zz%00", "+ +", "{{.Monitor}}", "'", "`", strings.Repeat("\"\n", 5000),
	}
}

// Whatever a target says, the body is one document with the fields of the template.
// Faults: C19.
func TestNoTextBreaksABody(t *testing.T) {
	h := newHook(t, nil)
	const body = `{"text": "{{.Error}}", "monitor": {{json .Monitor}}, "value": {{.Value}}, "team": "{{.Labels.team}}"}`
	a, form := hookWithBody(t, h.URL, "", body), hookWithBody(t, h.URL, "application/x-www-form-urlencoded", "text={{.Error}}&v=1")
	for _, text := range oddTexts() {
		n := testFail
		n.Error, n.Monitor, n.Labels, n.Value = text, "m"+strings.ToValidUTF8(text, ""), map[string]string{"team": text}, math.NaN()
		sendAll(t, a, n)
		_, body := h.last(t)
		var fields map[string]any
		if err := json.Unmarshal([]byte(body), &fields); err != nil || len(fields) != 4 || fields["monitor"] == "" {
			t.Errorf("%.40q: got %v from %.200s", text, err, body)
		}
		if got := fields["text"]; len(text) < 100 && strings.ToValidUTF8(text, "\ufffd") != got {
			t.Errorf("%.40q: got %.80q", text, got)
		}
		sendAll(t, form, n)
		_, body = h.last(t)
		if fields, err := url.ParseQuery(body); err != nil || len(fields) != 2 || fields.Get("v") != "1" {
			t.Errorf("%.40q: got %v from %.200s", text, err, body)
		}
	}
}

// A body of a chat mentions nobody. A body for a machine has the text as it is.
// Faults: C31.
func TestChatBodiesMentionNobody(t *testing.T) {
	h := newHook(t, nil)
	const text = "500 @everyone <!channel> <@U01> [x](https://evil.example)"
	n := testFail
	n.Error = text
	for body, broken := range map[string]bool{
		`{"text": {{json .Error}}}`:                                       true,
		`{"content": {{json .Error}}}`:                                    true,
		`{"text": "{{.Error}}"}`:                                          true,
		`{"blocks": [{"type": "x", "y": {{json .Error}}}]}`:               true,
		`{"attachments": [{"text": {{json .Error}}}]}`:                    true,
		`{"title": {{json .Monitor}}, "why": {{json .Error}}, "text": 1}`: false,
		`{"error": "{{.Error}}"}`:                                         false,
		`{"msgtype": "markdown", "markdown": {"text": {{json .Error}}}}`:  true,
		`{"msg_type": "text", "content": {"text": {{json .Error}}}}`:      true,
	} {
		sendAll(t, hookWithBody(t, h.URL, "", body), n)
		_, body := h.last(t)
		if got := !strings.Contains(body, "@everyone") && !strings.Contains(body, "!channel") && !strings.Contains(body, "](https"); got != broken || !json.Valid([]byte(body)) {
			t.Errorf("broken up %v, want %v: %s", got, broken, body)
		}
	}
	for body, broken := range map[string]bool{
		`payload={{urlquery "{\"text\": "}}{{urlquery (json .Error)}}%7D`: true,
		`channel=ops&text={{urlquery .Error}}`:                            true,
		`why={{urlquery .Error}}&payload=none`:                            false,
	} {
		sendAll(t, hookWithBody(t, h.URL, "application/x-www-form-urlencoded", body), n)
		if _, body := h.last(t); strings.Contains(body, "%40everyone") == broken {
			t.Errorf("broken up %v, want %v: %s", !broken, broken, body)
		}
	}
	sendAll(t, build(t, "http", fmt.Sprintf("url_fail = %q\nmethod = \"post\"", h.URL)), n)
	if _, body := h.last(t); !strings.Contains(body, url.QueryEscape(text)) {
		t.Errorf("the form has another text: %s", body)
	}
}

// Faults: P8.
func TestURLsAndHeadersComeFromFilesAndVariables(t *testing.T) {
	h := newHook(t, nil)
	t.Setenv("HOOK_URL", h.URL+"/from-env")
	t.Setenv("HOOK_TOKEN", "Bearer from-env")
	file := testkit.NewFile(t, "url", h.URL+"/from-file\n")
	token := testkit.NewFile(t, "token", "from-file\n")
	a := build(t, "http", fmt.Sprintf("url_fail_file = %[1]q\nurl_recover_env = \"HOOK_URL\"\nurl_init_file = %[1]q\nmethod = \"post\"\n"+
		"[header]\nX-Inline = \"1\"\n[header_file]\nX-Token = %[2]q\n[header_env]\nAuthorization = \"HOOK_TOKEN\"\n[params_file]\nkey = %[2]q\n", file, token))
	for _, c := range []struct {
		n    Notification
		path string
	}{{testFail, "/from-file"}, {testInit, "/from-file"}, {testRecover, "/from-env"}} {
		sendAll(t, a, c.n)
		r, body := h.last(t)
		if r.URL.Path != c.path || r.Header.Get("X-Token") != "from-file" || r.Header.Get("Authorization") != "Bearer from-env" || r.Header.Get("X-Inline") != "1" || !strings.Contains(body, "key=from-file") {
			t.Errorf("%s: got %s %v %s", c.n.Event, r.URL.Path, r.Header, body)
		}
	}
	for keys, want := range map[string]string{
		"url_fail_file = \"/no/such\"":                                                            "reading url_fail_file: open /no/such: no such file or directory",
		"url_fail_env = \"NO_SUCH\"":                                                              `url_fail_env: variable "NO_SUCH" is not set`,
		"url_fail = \"http://canary\"\nurl_fail_env = \"HOOK_URL\"":                               "give only one of url_fail, url_fail_file and url_fail_env",
		"url_fail = \"http://x\"\n[header_file]\nX-A = \"/no/such\"":                              `header "X-A": reading header_file: open /no/such`,
		"url_fail = \"http://x\"\n[header]\nX-A = \"canary\"\n[header_env]\nX-A = \"HOOK_TOKEN\"": `header "X-A": give only one of header, header_file and header_env`,
		"url_fail = \"http://x\"\n[params_env]\na = \"NO_SUCH\"":                                  `params "a": params_env: variable "NO_SUCH" is not set`,
	} {
		if _, err := newHTTP(testkit.DecodeTOML(keys), testEnv); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got %v, want %s", keys, err, want)
		}
	}
	if err := os.WriteFile(file, []byte("http://127.0.0.1:1/canary-5ecret"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := build(t, "http", fmt.Sprintf("url_fail_file = %q", file)).Notify(t.Context(), []Notification{testFail})
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
}

// Faults: T45.
func TestWebHooksThatAnswerOddly(t *testing.T) {
	for _, c := range []struct {
		code   int
		body   string
		result string
	}{
		{200, "", sent}, {200, "not JSON", sent}, {200, "<html>", sent}, {200, `{"ok": false}`, sent}, {200, "\x00\xff", sent},
		{201, "created", sent}, {202, "", sent}, {203, "x", sent}, {204, "", sent}, {206, "part", sent}, {226, "x", sent}, {299, "x", sent},
		{300, "choose", givenUp}, {304, "", givenUp}, {305, "", givenUp}, {400, "bad", givenUp}, {401, "", givenUp}, {403, "", givenUp}, {404, "", givenUp},
		{405, "", givenUp}, {408, "", again}, {409, "", givenUp}, {410, "", givenUp}, {413, "", givenUp}, {418, "", givenUp}, {425, "", again}, {429, "", again},
		{500, "x", again}, {501, "", again}, {502, "<html>", again}, {503, "", again}, {504, "", again}, {520, "", again}, {599, "", again}, {700, "", again},
	} {
		h := newHook(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.code)
			if c.code != http.StatusNoContent && c.code != http.StatusNotModified {
				_, _ = w.Write([]byte(c.body))
			}
		})
		err := build(t, "http", fmt.Sprintf("url_fail = %q", h.URL)).Notify(t.Context(), []Notification{testFail})
		if got := resultOf(err); got != c.result || h.count() != 1 {
			t.Errorf("%d %q: it is %s in %d requests, want %s: %v", c.code, c.body, got, h.count(), c.result, err)
		}
		if err != nil && (errors.Unwrap(err) == nil || !strings.Contains(err.Error(), fmt.Sprint("answered ", c.code))) {
			t.Errorf("%d: got %v", c.code, err)
		}
	}
}
