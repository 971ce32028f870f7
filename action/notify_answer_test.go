package action

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// A service that answers with success has the message, whatever else it says. It must
// not get it again.
// Faults: P7.
func TestServicesThatAnswerOddly(t *testing.T) {
	urls := map[string]string{
		"ntfy":         "ntfy://HOST/topic?scheme=http",
		"gotify":       "gotify://HOST/AzyoeNS.D4iJLVa/?disabletls=yes",
		"gotify, own":  "gotify://HOST/AzyoeNS.D4iJLVa/?disabletls=yes&useheader=yes",
		"mattermost":   "mattermost://HOST/token?disabletls=yes",
		"generic":      "generic://HOST/hook?disabletls=yes",
		"generic JSON": "generic://HOST/hook?disabletls=yes&template=json",
	}
	for _, c := range []struct {
		code     int
		kind     string // of the content
		body     string
		accepted bool
	}{
		{200, "application/json", `{}`, true},
		{200, "application/json", ``, true},
		{200, "application/json", `null`, true},
		{200, "application/json", `[]`, true},
		{200, "application/json", `"ok"`, true},
		{200, "application/json", `{"id": `, true},
		{200, "application/json", `{"id": 1} trailing`, true},
		{200, "application/json", "\ufeff{}", true},
		{200, "text/plain", "ok", true},
		{200, "text/plain", "OK\n", true},
		{200, "text/html", "<html><body>accepted</body></html>", true},
		{200, "text/html", strings.Repeat("x", 100_000), true},
		{200, "application/octet-stream", "\x00\xff\xfe", true},
		{201, "text/plain", "created", true},
		{202, "text/plain", "", true},
		{203, "text/plain", "500 Internal Server Error", true},
		{204, "", "", true},
		{206, "text/plain", ": 500 ", true},
		{299, "text/plain", "fine", true},
		{400, "text/plain", "200 OK", false},
		{401, "text/plain", "", false},
		{403, "text/html", "<html>", false},
		{404, "text/plain", ": 200 OK", false},
		{429, "text/plain", "slow down", false},
		{500, "text/plain", "200 OK", false},
		{502, "text/html", "<html>", false},
		{503, "text/plain", "", false},
	} {
		for name, url := range urls {
			h := newHook(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.kind != "" {
					w.Header().Set("Content-Type", c.kind)
				}
				w.WriteHeader(c.code)
				_, _ = w.Write([]byte(c.body))
			})
			a := build(t, "notify", fmt.Sprintf("url = %q", strings.ReplaceAll(url, "HOST", strings.TrimPrefix(h.URL, "http://"))))
			err := a.Notify(t.Context(), []Notification{testFail})
			if (err == nil) != c.accepted || h.count() != 1 {
				t.Errorf("%s answers %d %.30q: got %v after %d requests, want it accepted: %v", name, c.code, c.body, err, h.count(), c.accepted)
			}
		}
	}
}

// Faults: P7.
func TestUnexpectedAnswerIsLoggedOnce(t *testing.T) {
	h := newHook(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	var log strings.Builder
	env := testEnv
	env.Log = testkit.InfoTo(&log)
	a, err := newNotify(testkit.DecodeTOML(fmt.Sprintf("url = \"ntfy://%s/canary-topic?scheme=http\"", strings.TrimPrefix(h.URL, "http://"))), env)
	if err != nil {
		t.Fatal(err)
	}
	sendAll(t, a, testFail, testRepeat, testRecover)
	if n := strings.Count(log.String(), "accepted a message with an unexpected answer"); n != 1 || strings.Contains(log.String(), "canary") {
		t.Errorf("%d lines, want one without secrets:\n%s", n, &log)
	}
}

// Faults: U11.
func TestWebHooksOfChatsAreRefusedWithTheRightURL(t *testing.T) {
	const token = "T00000000/B00000000/canarycanarycanarycana"
	for _, c := range []struct{ kind, keys, want string }{
		{"notify", "url = \"https://hooks.slack.com/services/" + token + "\"", `url: this is a web hook of Slack: write it as "slack://hook:TXXXXXXXX-BXXXXXXXX-XXXXXXXX@webhook"`},
		{"notify", "url = \"https://discord.com/api/webhooks/1/canary\"", `url: this is a web hook of Discord: write it as "discord://TOKEN@ID"`},
		{"notify", "url = \"https://x.webhook.office.com/webhookb2/canary\"", `url: this is a web hook of Teams: write it as "teams+https://`},
		{"notify", "url = \"https://chat.googleapis.com/v1/spaces/canary\"", `url: this is a web hook of Google Chat`},
		{"notify", "url = \"https://api.telegram.org/botcanary/sendMessage\"", `url: this is a web hook of Telegram`},
		{"notify", "url = \"https://ntfy.sh/canary\"", `url: this is a web hook of ntfy: write it as "ntfy://ntfy.sh/TOPIC"`},
		{"notify", "url = \"https://hooks.example.org/canary\"", `url: a web hook is an action of type = "http"`},
		{"http", "url_fail = \"https://hooks.slack.com/services/" + token + "\"", `this is a web hook of Slack, which does not take the form: give body = '{"text": `},
		{"http", "url_fail = \"https://discord.com/api/webhooks/1/canary\"", `this is a web hook of Discord, which does not take the form: give body = '{"content": `},
		{"http", "url_fail = \"slack://hook:canary@webhook\"", `url_fail: "slack" is a service of type = "notify"`},
		{"http", "url_fail = \"ntfy://ntfy.sh/canary\"", `url_fail: "ntfy" is a service of type = "notify"`},
		{"http", "url_recover = \"teams+https://canary/\"", `url_recover: "teams+https" is a service of type = "notify"`},
	} {
		_, err := Builtin()[c.kind](testkit.DecodeTOML(c.keys), testEnv)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s %s: got %v, want %s", c.kind, c.keys, err, c.want)
		}
	}
	for _, keys := range []string{
		"body = '{\"text\": {{json .Error}}}'", "method = \"post\"\n[params]\npayload = '{\"text\": \"down\"}'",
	} {
		build(t, "http", "url_fail = \"https://hooks.slack.com/services/"+token+"\"\n"+keys)
	}
	build(t, "http", `url_fail = "https://ntfy.sh/topic"`)
}

// Faults: C31.
func TestMessagesMentionNobody(t *testing.T) {
	n := testFail
	n.Error = "banner \"500 @everyone @channel\r\n<!channel> <@U01> [x](https://evil.example)\""
	for _, ns := range [][]Notification{{n}, {n, testRecover}} {
		got := message(ns)
		for _, live := range []string{"@everyone", "@channel", "<!channel", "<@U01", "](http"} {
			if strings.Contains(got, live) {
				t.Errorf("%q is in %q", live, got)
			}
		}
		if want := `banner "500 @everyone @channel <!channel> <@U01> [x](https://evil.example)"`; !strings.Contains(strings.ReplaceAll(got, "\u200b", ""), want) {
			t.Errorf("got %q, want it to read %q", got, want)
		}
	}
}

// Telegram refuses a message that is not valid in the markup that its URL names.
// Faults: C31.
func TestMarkupOfTelegramIsEscaped(t *testing.T) {
	n := testFail
	n.Error = "want <b> & [x] *y* _z_ `c` 1.5-2"
	for mode, want := range map[string]string{
		"None":       "want <b> & [x] *y* _z_ `c` 1.5-2",
		"HTML":       "want &lt;b&gt; &amp; [x] *y* _z_ `c` 1.5-2",
		"Markdown":   "want <b> & \\[x] \\*y\\* \\_z\\_ \\`c\\` 1.5-2",
		"MarkdownV2": "want <b\\> & \\[x\\] \\*y\\* \\_z\\_ \\`c\\` 1\\.5\\-2",
	} {
		a := build(t, "notify", fmt.Sprintf("url = \"telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw@telegram?chats=@ops&parseMode=%s\"", mode)).(*notifyAction)
		var got string
		a.send = func(_ *notifyClient, text string, _ types.Params) error { got = text; return nil }
		sendAll(t, a, n)
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", mode, got, want)
		}
	}
}
