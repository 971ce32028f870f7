package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/microhq/monitor-srv/internal/testkit"
)

func TestNotifyTellsAService(t *testing.T) {
	h := newHook(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id": "1"}`) })
	host := strings.TrimPrefix(h.URL, "http://")
	file := testkit.NewFile(t, "url", "ntfy://"+host+"/topic?scheme=http\n")
	t.Setenv("NOTIFY_URL", "generic+"+h.URL+"/hook?disabletls=yes")
	for _, c := range []struct{ keys, path string }{
		{fmt.Sprintf("url = \"generic+%s/hook?disabletls=yes\"", h.URL), "/hook"},
		{fmt.Sprintf("url_file = %q", file), "/topic"},
		{`url_env = "NOTIFY_URL"`, "/hook"},
	} {
		a := build(t, "notify", c.keys)
		if !a.(Grouper).Groups() {
			t.Errorf("%s does not group", c.keys)
		}
		for _, n := range []struct {
			ns   []Notification
			want string
		}{
			{[]Notification{testFail}, "FAILED db: no answer since 2026-11-21T01:00:00Z [01ABC] (on host1)"},
			{[]Notification{testRecover}, "RECOVERED db after 1m31s [01ABC] (on host1)"},
			{[]Notification{testRepeat}, "STILL FAILING db: value 2 since 2026-11-21T01:00:00Z [01ABC] (on host1)"},
			{[]Notification{testInit}, "STARTED db (on host1)"},
			{[]Notification{testRecover, testFail}, "1 failed, 1 recovered on host1\nFAILED db: no answer since 2026-11-21T01:00:00Z [01ABC]\nRECOVERED db after 1m31s [01ABC]"},
		} {
			if err := a.Notify(t.Context(), n.ns); err != nil {
				t.Fatalf("%s: %v", c.keys, err)
			}
			r, body := h.last(t)
			if r.URL.Path != c.path || body != n.want {
				t.Errorf("got %s %q, want %s %q", r.URL.Path, body, c.path, n.want)
			}
		}
	}
}

// Faults: T47.
func TestNotifyListsWhatFitsAndCountsTheRest(t *testing.T) {
	var ns []Notification
	for i := range 2000 {
		n := testRecover
		n.Monitor, n.Incident = fmt.Sprint("monitor-", i), fmt.Sprint("R", i)
		if i >= 1990 {
			n.Event = Fail
		}
		ns = append(ns, n)
	}
	text := message(ns)
	if len(text) > maxMessage+30 {
		t.Errorf("got %d bytes", len(text))
	}
	if n := strings.Count(text, "\nFAILED"); n != 10 {
		t.Errorf("%d failures are listed, want all 10 before the recoveries", n)
	}
	listed := strings.Count(text, "\n") - 1
	if want := fmt.Sprintf("\n... and %d more", 2000-listed); !strings.HasSuffix(text, want) || !strings.HasPrefix(text, "10 failed, 1990 recovered on host1\n") {
		t.Errorf("got %q ... %q, want it to end with %q", text[:40], text[len(text)-40:], want)
	}
}

func TestNotifyJudgesAnswers(t *testing.T) {
	for code, permanent := range map[int]bool{400: true, 404: true, 408: false, 429: false, 500: false, 503: false} {
		h := newHook(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `not JSON`)
		})
		a := build(t, "notify", fmt.Sprintf("url = \"ntfy://user:canary-password@%s/canary-topic?scheme=http\"", strings.TrimPrefix(h.URL, "http://")))
		err := a.Notify(t.Context(), []Notification{testFail})
		var p *Permanent
		if err == nil || errors.As(err, &p) != permanent {
			t.Errorf("%d: got %T %v, want permanent %v", code, err, err, permanent)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("a secret is shown: %v", err)
		}
	}
}

// Faults: T45.
func TestNotifyGivesUpOnASilentService(t *testing.T) {
	release := make(chan struct{})
	silent := testkit.ServeConns(t, func(c net.Conn) {
		<-release
		testkit.ReadHTTPRequest(c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	a := build(t, "notify", fmt.Sprintf("url = \"generic+http://%s/canary-path?disabletls=yes\"", silent)).(*notifyAction)
	r := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return a.Notify(ctx, []Notification{testFail})
	}
	for range maxCalls {
		begin := time.Now()
		if err := r(); err == nil || time.Since(begin) > time.Second || strings.Contains(err.Error(), "canary") {
			t.Errorf("got %v after %v, want an end at the deadline", err, time.Since(begin))
		}
	}
	if err := r(); err == nil || !strings.Contains(err.Error(), "3 earlier attempts are still waiting") {
		t.Errorf("got %v, want no further attempt", err)
	}
	close(release)
	testkit.Until(t, func() bool { return r() == nil })
}

func TestNotifyPanicIsAnError(t *testing.T) {
	a := build(t, "notify", `url = "discord://token@id"`).(*notifyAction)
	a.send = func(*notifyClient, string, types.Params) error { panic("canary") }
	if err := a.Notify(t.Context(), []Notification{testFail}); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	testkit.Until(t, func() bool { return len(a.clients) == maxCalls })
}

func TestNotifyKeepsIncidentsOfPagerDuty(t *testing.T) {
	a := build(t, "notify", `url = "pagerduty:///eb243592faa24ba2a5511afdf565c889"`).(*notifyAction)
	if a.Groups() {
		t.Error("incidents of PagerDuty are grouped")
	}
	var got []types.Params
	a.send = func(_ *notifyClient, _ string, params types.Params) error { got = append(got, params); return nil }
	sendAll(t, a, testFail, testRepeat, testRecover)
	for i, want := range []string{"trigger", "trigger", "resolve"} {
		if got[i]["dedup_key"] != "01ABC" || got[i]["action"] != want {
			t.Errorf("got %v, want action %s", got[i], want)
		}
	}
}

// Faults: U2.
func TestStartsAreSentToThoseWhoAskForThem(t *testing.T) {
	for _, c := range []struct {
		kind, keys       string
		atOnce, onceGood bool
	}{
		{"exec", `command = "true"`, true, false},
		{"http", `url_fail = "http://x"`, false, false},
		{"http", "url_fail = \"http://x\"\nurl_init = \"http://x\"", false, true},
		{"mail", "from = \"a@b.c\"\nto = [\"a@b.c\"]\nfail_to = [\"a@b.c\"]", false, false},
		{"mail", "from = \"a@b.c\"\nto = [\"a@b.c\"]\ninit_to = [\"a@b.c\"]", false, true},
		{"notify", `url = "ntfy://x/topic"`, false, false},
		{"notify", "url = \"ntfy://x/topic\"\nnotify_init = true", false, true},
		{"publish", "", false, false},
		{"publish", "notify_init = true", false, true},
	} {
		if atOnce, onceGood := build(t, c.kind, c.keys).(Starter).Inits(); atOnce != c.atOnce || onceGood != c.onceGood {
			t.Errorf("%s %q: got at once %v, once good %v", c.kind, c.keys, atOnce, onceGood)
		}
	}
}

func TestPublishSendsTheNoticeAsAnEvent(t *testing.T) {
	type event struct {
		topic  string
		header map[string]string
		body   []byte
	}
	var got []event
	var fault error
	env := testEnv
	env.Publish = func(_ context.Context, topic string, header map[string]string, body []byte) error {
		got = append(got, event{topic, header, body})
		return fault
	}
	for keys, topic := range map[string]string{``: "micro.monitor.transition", `topic = "mine"`: "mine"} {
		a, err := newPublish(testkit.DecodeTOML(keys), env)
		if err != nil {
			t.Fatal(err)
		}
		sendAll(t, a, testFail)
		e := got[len(got)-1]
		var body map[string]any
		if err := json.Unmarshal(e.body, &body); err != nil {
			t.Fatal(err)
		}
		if e.topic != topic || e.header["Content-Type"] != "application/json" || e.header["X-Monitor-Incident"] != "01ABC" || e.header["Idempotency-Key"] != "01ABC-fail" {
			t.Errorf("got %s %v", e.topic, e.header)
		}
		if body["monitor"] != "db" || body["event"] != "fail" || body["value"] != 1.5 || body["incident"] != "01ABC" || body["since"] != "2026-11-21T01:00:00Z" {
			t.Errorf("got %s", e.body)
		}
		fault = errors.New("no broker")
		if err := a.Notify(t.Context(), []Notification{testFail}); !errors.Is(err, fault) {
			t.Errorf("got %v, want it to be tried again", err)
		}
		fault = nil
	}
	var permanent *Permanent
	if err := build(t, "publish", ``).Notify(t.Context(), []Notification{testFail}); !errors.As(err, &permanent) {
		t.Errorf("got %v without a bus", err)
	}
}

// Machines read the event: its texts are as the target said them.
func TestPublishedTextsAreAsTheyWereSaid(t *testing.T) {
	var body []byte
	env := testEnv
	env.Publish = func(_ context.Context, _ string, _ map[string]string, b []byte) error { body = b; return nil }
	a, err := newPublish(testkit.DecodeTOML(""), env)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(oddTexts(), "@everyone <!channel>") {
		n := testFail
		n.Error, n.Labels = text, map[string]string{"said": text}
		sendAll(t, a, n)
		var got Notification
		if err := json.Unmarshal(body, &got); err != nil || got.Error != strings.ToValidUTF8(text, "\ufffd") && got.Error != string([]rune(text)) || got.Labels["said"] != got.Error {
			t.Errorf("%.40q: got %.40q, %v from %.200s", text, got.Error, err, body)
		}
	}
}

// Some services of the library open a new connection for each message unless they are
// reused.
func TestNotifyKeepsItsConnections(t *testing.T) {
	h := newHook(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id": "1"}`) })
	a := build(t, "notify", fmt.Sprintf("url = \"ntfy://%s/topic?scheme=http\"", strings.TrimPrefix(h.URL, "http://")))
	for range 20 {
		sendAll(t, a, testFail)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	from := map[string]int{}
	for _, r := range h.requests {
		from[r.RemoteAddr]++
	}
	if len(h.requests) != 20 || len(from) > maxCalls {
		t.Errorf("%d messages over the connections %v, want 20 over at most %d", len(h.requests), from, maxCalls)
	}
}
