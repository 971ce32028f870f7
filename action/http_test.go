package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// hook is a web server that stores the requests it gets.
type hook struct {
	*httptest.Server
	mu       sync.Mutex // guards all following fields
	requests []*http.Request
	bodies   []string
}

// newHook starts a server that stores each request and then runs do.
func newHook(t *testing.T, do http.HandlerFunc) *hook {
	t.Helper()
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		h.requests = append(h.requests, r)
		h.bodies = append(h.bodies, string(body))
		h.mu.Unlock()
		if do != nil {
			do(w, r)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// last returns the last request and its body.
func (h *hook) last(t *testing.T) (*http.Request, string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.requests) == 0 {
		t.Fatal("no request came")
	}
	return h.requests[len(h.requests)-1], h.bodies[len(h.bodies)-1]
}

func (h *hook) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.requests)
}

func sendAll(t *testing.T, a Action, ns ...Notification) {
	t.Helper()
	for _, n := range ns {
		if err := a.Notify(t.Context(), []Notification{n}); err != nil {
			t.Errorf("%s: %v", n.Event, err)
		}
	}
}

func TestHTTPFormIsGomas(t *testing.T) {
	h := newHook(t, nil)
	for name, c := range map[string]struct {
		n    Notification
		keys string
		want url.Values
	}{
		"init":    {testInit, "", url.Values{"monitor": {"db"}, "host": {"host1"}, "event": {"init"}, "version": {"1.2.3"}, "q": {"1"}}},
		"fail":    {testFail, "", url.Values{"monitor": {"db"}, "host": {"host1"}, "event": {"fail"}, "value": {"1.5"}, "version": {"1.2.3"}, "q": {"1"}, "incident": {"01ABC"}, "error": {"no answer"}}},
		"recover": {testRecover, "", url.Values{"monitor": {"db"}, "host": {"host1"}, "event": {"recover"}, "duration": {"90"}, "version": {"1.2.3"}, "q": {"1"}, "incident": {"01ABC"}}},
		"repeat":  {testRepeat, "", url.Values{"monitor": {"db"}, "host": {"host1"}, "event": {"fail"}, "value": {"2"}, "version": {"1.2.3"}, "q": {"1"}, "incident": {"01ABC"}}},
		"params":  {testFail, "incident = false\n[params]\nq = \"2\"\nmonitor = \"lie\"\nown = \"x y\"", url.Values{"monitor": {"db"}, "host": {"host1"}, "event": {"fail"}, "value": {"1.5"}, "version": {"1.2.3"}, "q": {"2"}, "own": {"x y"}}},
	} {
		for _, method := range []string{"GET", "POST", "PUT"} {
			t.Run(name+" by "+method, func(t *testing.T) {
				u := h.URL + "/hook?q=1"
				a := build(t, "http", fmt.Sprintf("url_init = %q\nurl_fail = %q\nurl_recover = %q\nmethod = %q\n%s", u, u, u, method, c.keys))
				sendAll(t, a, c.n)
				r, body := h.last(t)
				if r.Method != method || r.URL.Path != "/hook" {
					t.Errorf("got %s %s", r.Method, r.URL.Path)
				}
				got := r.URL.Query()
				if method != "GET" {
					var err error
					if got, err = url.ParseQuery(body); err != nil {
						t.Fatal(err)
					}
					if ct := r.Header.Get("Content-Type"); ct != "application/x-www-form-urlencoded" {
						t.Errorf("got content type %q", ct)
					}
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("form (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestHTTPEventsWithoutURLAreNotSent(t *testing.T) {
	h := newHook(t, nil)
	a := build(t, "http", fmt.Sprintf("url_fail = %q", h.URL))
	sendAll(t, a, testInit, testRecover)
	if n := h.count(); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
	sendAll(t, a, testFail, testRepeat)
	if n := h.count(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// Faults: G43.
func TestMethodOfAnActionIsUpperCased(t *testing.T) {
	h := newHook(t, nil)
	sendAll(t, build(t, "http", fmt.Sprintf("url_fail = %q\nmethod = \"post\"", h.URL)), testFail)
	if r, _ := h.last(t); r.Method != "POST" {
		t.Errorf("got method %q, want POST", r.Method)
	}
}

// Faults: G44.
func TestHeadersOfAnActionAreMerged(t *testing.T) {
	h := newHook(t, nil)
	for _, c := range []struct{ keys, agent string }{
		{"", "monitor-srv/1.2.3"},
		{`agent = "mine/1"`, "mine/1"},
		{"agent = \"mine/1\"\n[header]\nX-Api-Key = \"k\"\nhost = \"other.example\"", "mine/1"},
		{"agent = \"mine/1\"\n[header]\nuser-agent = \"header/2\"", "header/2"},
	} {
		sendAll(t, build(t, "http", fmt.Sprintf("url_fail = %q\n%s", h.URL, c.keys)), testFail)
		r, _ := h.last(t)
		if got := r.Header["User-Agent"]; len(got) != 1 || got[0] != c.agent {
			t.Errorf("%q: got agent %q, want %q", c.keys, got, c.agent)
		}
		if strings.Contains(c.keys, "Api") && (r.Header.Get("X-Api-Key") != "k" || r.Host != "other.example") {
			t.Errorf("%q: got %v, host %q", c.keys, r.Header, r.Host)
		}
		for name, want := range map[string]string{"Idempotency-Key": "01ABC-fail", "X-Monitor-Incident": "01ABC", "X-Monitor-Event": "fail"} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	}
}

func TestHTTPBodyIsATemplateOfDataOnly(t *testing.T) {
	h := newHook(t, nil)
	n := testFail
	n.Error = "a \"quote\"\n{{.Monitor}} \u2028 </script>"
	a := build(t, "http", fmt.Sprintf("url_fail = %q\nbody = '''%s'''\n", h.URL, `{"text": {{json .Error}}, "at": {{json .Since}}, "v": {{.Value}}, "l": {{json .Labels}}}`))
	sendAll(t, a, n)
	r, body := h.last(t)
	var got struct{ Text, At string }
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.Text != n.Error || got.At != "2026-11-21T01:00:00Z" {
		t.Errorf("got %+v, %v from %s", got, err, body)
	}
	if r.Method != "POST" || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %s of %q", r.Method, r.Header.Get("Content-Type"))
	}
	b := build(t, "http", fmt.Sprintf("url_fail = %q\nmethod = \"put\"\nbody = \"x\"\ncontent_type = \"text/plain\"", h.URL))
	sendAll(t, b, n)
	if r, body := h.last(t); r.Method != "PUT" || body != "x" || r.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("got %s %q of %q", r.Method, body, r.Header.Get("Content-Type"))
	}
}

// Faults: T45.
func TestHTTPStatusDecidesWhetherToRetry(t *testing.T) {
	for code, c := range map[int]struct {
		permanent bool
		header    string
		after     time.Duration
	}{
		200: {}, 204: {}, 299: {},
		304: {permanent: true}, 400: {permanent: true}, 401: {permanent: true}, 404: {permanent: true}, 410: {permanent: true},
		408: {}, 429: {header: "120", after: 2 * time.Minute}, 500: {}, 502: {}, 503: {header: "1", after: time.Second}, 599: {},
	} {
		h := newHook(t, func(w http.ResponseWriter, _ *http.Request) {
			if c.header != "" {
				w.Header().Set("Retry-After", c.header)
			}
			w.WriteHeader(code)
			if code >= 400 {
				_, _ = io.WriteString(w, "because\nof this")
			}
		})
		err := build(t, "http", fmt.Sprintf("url_fail = %q", h.URL)).Notify(t.Context(), []Notification{testFail})
		if ok := code < 300; (err == nil) != ok {
			t.Errorf("%d: got %v", code, err)
			continue
		}
		var permanent *Permanent
		if errors.As(err, &permanent) != c.permanent {
			t.Errorf("%d: got %T %v, want permanent %v", code, err, err, c.permanent)
		}
		var after *RetryAfter
		if errors.As(err, &after); (after == nil && c.after != 0) || (after != nil && after.After != c.after) {
			t.Errorf("%d: got %+v, want to wait %v", code, after, c.after)
		}
		if code >= 400 && !strings.HasSuffix(err.Error(), "because of this") {
			t.Errorf("%d: got %q, want the start of the answer", code, err)
		}
	}
}

// Faults: T45.
func TestRetryAfterIsParsed(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"0": 0, "90": 90 * time.Second, "Sat, 21 Nov 2026 10:05:00 GMT": 5 * time.Minute, "Sat, 21 Nov 2026 09:00:00 GMT": -time.Hour,
	} {
		if got, ok := retryAfter(text, now); !ok || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "-5", "1.5", "soon", "99999999999999999999"} {
		if got, ok := retryAfter(text, now); ok {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

// Faults: T45.
func TestHostileWebHookServersAreCutOff(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, c := range map[string]struct {
		do   func(net.Conn)
		fine bool
	}{
		"silence": {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, false},
		"drip of a header": {func(c net.Conn) {
			testkit.ReadHTTPRequest(c)
			_, _ = io.WriteString(c, ok)
			testkit.WriteForever(c, "X", 10*time.Millisecond)
		}, true},
		"endless headers": {func(c net.Conn) {
			testkit.ReadHTTPRequest(c)
			_, _ = io.WriteString(c, ok)
			testkit.WriteForever(c, "X-A: "+strings.Repeat("a", 1000)+"\r\n", 0)
		}, true},
		"endless status": {func(c net.Conn) { testkit.ReadHTTPRequest(c); testkit.WriteForever(c, "HTTP/1.1 200 OOOO", 0) }, false},
		"endless body": {func(c net.Conn) {
			testkit.ReadHTTPRequest(c)
			_, _ = io.WriteString(c, ok+"\r\n")
			testkit.WriteForever(c, strings.Repeat("a", 1000), 0)
		}, true},
		"endless body of errors": {func(c net.Conn) {
			testkit.ReadHTTPRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 500 No\r\n\r\n")
			testkit.WriteForever(c, strings.Repeat("a", 1000), 0)
		}, false},
		"drip of a body": {func(c net.Conn) {
			testkit.ReadHTTPRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 500 No\r\n\r\n")
			testkit.WriteForever(c, "a", 10*time.Millisecond)
		}, false},
		"huge chunk": {func(c net.Conn) {
			testkit.ReadHTTPRequest(c)
			_, _ = io.WriteString(c, ok+"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n")
			testkit.WriteForever(c, strings.Repeat("a", 1000), 0)
		}, true},
		"reset":    {func(c net.Conn) { testkit.ReadHTTPRequest(c); _ = c.(*net.TCPConn).SetLinger(0) }, false},
		"not HTTP": {func(c net.Conn) { testkit.ReadHTTPRequest(c); testkit.WriteForever(c, "\x00\xff", 0) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := testkit.ServeConns(t, c.do)
			a := build(t, "http", fmt.Sprintf("url_fail = \"http://%s/canary-path?k=canary-query\"\ntimeout = \"500ms\"", addr))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var err error
			testkit.TakesAtMost(t, 1500*time.Millisecond, func() { err = a.Notify(t.Context(), []Notification{testFail}) })
			if (err == nil) != c.fine {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret is shown: %v", err)
			}
			if name == "silence" && !strings.HasSuffix(err.Error(), "no answer within 500ms") {
				t.Errorf("got %v, want the deadline named", err)
			}
			runtime.ReadMemStats(&after)
			if grown := int64(after.TotalAlloc) - int64(before.TotalAlloc); grown > 64<<20 {
				t.Errorf("%d MiB were allocated", grown>>20)
			}
		})
	}
}

// Faults: G25.
func TestRedirectsTakeNoSecretsToOtherHosts(t *testing.T) {
	other := newHook(t, nil)
	var target string
	var code int
	first := newHook(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/here" {
			return
		}
		w.Header().Set("Location", target)
		w.WriteHeader(code)
	})
	keys := "method = %q\nurl_fail = %q\n[header]\nX-Api-Key = \"canary\"\nAuthorization = \"Bearer canary\"\nCookie = \"canary=1\"\n"
	withUser := strings.Replace(first.URL, "http://", "http://canary:canary@", 1) + "/go"
	for _, c := range []struct {
		method string
		code   int
		target string
		err    string // of the attempt
		at     *hook  // who got the last request
	}{
		{"GET", 302, other.URL + "/x", "", other},
		{"GET", 301, other.URL + "/x", "", other},
		{"GET", 307, first.URL + "/here", "", first},
		{"POST", 307, first.URL + "/here", "", first},
		{"POST", 303, first.URL + "/here", "", first},
		{"POST", 307, other.URL + "/x", "redirected with its body to another host", nil},
		{"POST", 308, other.URL + "/x", "redirected with its body to another host", nil},
		{"POST", 301, first.URL + "/here", "moved to http://", nil},
		{"GET", 302, "file:///etc/passwd", "redirected from http to file", nil},
		{"GET", 302, first.URL + "/again", "more than 5 redirects", nil},
	} {
		t.Run(fmt.Sprint(c.method, c.code, c.err), func(t *testing.T) {
			target, code = c.target, c.code
			before := other.count()
			err := build(t, "http", fmt.Sprintf(keys, c.method, withUser)).Notify(t.Context(), []Notification{testFail})
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got %v, want %q", err, c.err)
			}
			var permanent *Permanent
			if c.err != "" && !errors.As(err, &permanent) {
				t.Errorf("got %T, want it permanent", err)
			}
			if c.at != other && other.count() != before {
				t.Error("the other host got a request")
			}
			if c.at == first {
				if r, _ := first.last(t); r.URL.Path != "/here" || r.Header.Get("X-Api-Key") != "canary" {
					t.Errorf("got %s with %v, want the headers at the same host", r.URL, r.Header)
				}
			}
			if c.at == other {
				r, body := other.last(t)
				for name, values := range r.Header {
					if strings.Contains(strings.Join(values, ""), "canary") {
						t.Errorf("%s was taken to another host", name)
					}
				}
				if body != "" || r.Header.Get("Authorization") != "" {
					t.Errorf("got body %q, %v", body, r.Header)
				}
			}
		})
	}
}

// Faults: G25.
func TestRedirectFromTLSToClearTextIsRefused(t *testing.T) {
	clear := newHook(t, nil)
	secure := httptest.NewUnstartedServer(http.RedirectHandler(clear.URL, http.StatusFound))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	a := build(t, "http", fmt.Sprintf("url_fail = %q\n[tls]\ninsecure_skip_verify = true", secure.URL))
	if err := a.Notify(t.Context(), []Notification{testFail}); err == nil || !strings.Contains(err.Error(), "redirected from https to http") || clear.count() != 0 {
		t.Errorf("got %v and %d requests", err, clear.count())
	}
	b := build(t, "http", fmt.Sprintf("url_fail = %q", secure.URL))
	if err := b.Notify(t.Context(), []Notification{testFail}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v, want a complaint about the certificate", err)
	}
}

func TestHTTPErrorTellsTheHostOnly(t *testing.T) {
	a := build(t, "http", "url_fail = \"http://user:pass@127.0.0.1:1/path?query\"")
	err := a.Notify(t.Context(), []Notification{testFail})
	if want := "sending GET to http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Faults: T45.
func TestSuccessWithASlowBodyIsSuccessAtOnce(t *testing.T) {
	addr := testkit.ServeConns(t, func(c net.Conn) {
		testkit.ReadHTTPRequest(c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		testkit.WriteForever(c, "a", 10*time.Millisecond)
	})
	a := build(t, "http", fmt.Sprintf("url_fail = \"http://%s\"\ntimeout = 20", addr))
	begin := time.Now()
	if err := a.Notify(t.Context(), []Notification{testFail}); err != nil || time.Since(begin) > 10*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}
}

func TestHTTPStopsWithItsContext(t *testing.T) {
	addr := testkit.ServeConns(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(errors.New("the program stops")) })
	err := build(t, "http", fmt.Sprintf("url_fail = \"http://%s\"", addr)).Notify(ctx, []Notification{testFail})
	if err == nil || !strings.HasSuffix(err.Error(), "the program stops") {
		t.Errorf("got %v", err)
	}
}

func TestReceiversAreNotifiedByHTTP2(t *testing.T) {
	var major atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { major.Store(int32(r.ProtoMajor)) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	sendAll(t, build(t, "http", fmt.Sprintf("url_fail = %q\n[tls]\ninsecure_skip_verify = true", s.URL)), testFail)
	if major.Load() != 2 {
		t.Errorf("HTTP/%d, want 2", major.Load())
	}
}
