package probe

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// Faults: T38.
func TestRedirectsAreBounded(t *testing.T) {
	var hops atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hops.Add(1)
		switch r.URL.Path {
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		default:
			if n, _ := strconv.Atoi(r.URL.Path[1:]); n > 0 {
				http.Redirect(w, r, "/"+strconv.Itoa(n-1), http.StatusFound)
			}
		}
	}))
	defer s.Close()
	fails(t, httpProbeOf(t, s.URL+"/loop"), "more than 5 redirects")
	if n := hops.Load(); n != 6 {
		t.Errorf("%d requests, want the first and 5 redirects", n)
	}
	ok(t, httpProbeOf(t, s.URL+"/5"))
	fails(t, httpProbeOf(t, s.URL+"/6"), "more than 5 redirects")
	fails(t, httpProbeOf(t, s.URL+"/file"), "file")
	fails(t, httpProbeOf(t, s.URL+"/1", "follow_redirects = false"), "status 302, want 200-299 (redirects are not followed)")
	ok(t, httpProbeOf(t, s.URL+"/1", "follow_redirects = false", `expect_status = "302"`))
}

// Faults: T38.
func TestRestrictedProbesFollowNoRedirects(t *testing.T) {
	var accepted atomic.Int32
	canary := testkit.ServeConns(t, func(net.Conn) { accepted.Add(1) })
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+canary+"/", http.StatusFound)
	}))
	defer s.Close()
	env := operatorOnLoopback()
	fails(t, build(t, "http", "url = "+strconv.Quote(s.URL), env), "redirects are not followed")
	if accepted.Load() > 0 {
		t.Error("the redirect was followed")
	}
}

// Faults: T36.
func TestTarpitsFailAtTheDeadline(t *testing.T) {
	drip := func(c net.Conn, text string) {
		for i := range len(text) {
			if _, err := io.WriteString(c, text[i:i+1]); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond) // what the badHealthServer does
		}
	}
	silence := testkit.SilentServer(t)
	headers := testkit.ServeConns(t, func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\nX-A: "+strings.Repeat("a", 1000)) })
	body := testkit.ServeConns(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
		drip(c, strings.Repeat("1", 1000))
	})
	interim := testkit.ServeConns(t, func(c net.Conn) { drip(c, strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100)) })
	for name, url := range map[string]string{
		"silence": "http://" + silence, "headers": "http://" + headers, "body": "http://" + body,
		"tls": "https://" + silence, "interim": "http://" + interim,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timesOut(t, httpProbeOf(t, url))
			timesOut(t, build(t, "http", "url = "+strconv.Quote(url), operatorOnLoopback()))
		})
	}
}

func TestHTTPStopsAtOnceWhenCancelled(t *testing.T) {
	silence := testkit.SilentServer(t)
	deaf, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { deaf.Close() })
	for kind, text := range map[string]string{
		"http": "url = \"http://" + silence + "/\"", "tcp": "address = \"" + silence + "\"\nexpect = \"x\"",
		"grpc": "address = \"" + silence + "\"", "redis": "address = \"" + silence + "\"",
		"mysql":    "dsn = \"u@tcp(" + silence + ")/d\"\nquery = \"SELECT 1\"",
		"postgres": "dsn = \"postgres://u@" + silence + "/d?sslmode=disable\"\nquery = \"SELECT 1\"",
		"dns":      "name = \"x.example\"\nserver = \"" + deaf.LocalAddr().String() + "\"",
		"exec":     "command = \"sleep\"\nargs = [\"30\"]",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := build(t, kind, text, Env{})
			why := errors.New("the monitor was stopped")
			ctx, cancel := context.WithCancelCause(t.Context())
			stop := time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
			defer stop.Stop()
			begin := time.Now()
			if _, err := p.Probe(ctx); !errors.Is(err, why) {
				t.Errorf("error %v, want the cause of the end", err)
			}
			if took := time.Since(begin); took > 300*time.Millisecond+slack {
				t.Errorf("took %v after the end", took)
			}
		})
	}
}

// Faults: T37, G23.
func TestHTTPBodiesAreBounded(t *testing.T) {
	endless := func(header string, chunk []byte) string {
		return testkit.ServeConns(t, func(c net.Conn) {
			http.ReadRequest(bufio.NewReader(c))
			if _, err := io.WriteString(c, header); err != nil {
				return
			}
			for len(chunk) > 0 {
				if _, err := c.Write(chunk); err != nil {
					return
				}
			}
			io.Copy(io.Discard, c)
		})
	}
	bomb := gzipped(t, 4<<30)
	block := bytes.Repeat([]byte("x"), 64<<10)
	chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", len(block), block)
	const head = "HTTP/1.1 200 OK\r\n"
	for name, c := range map[string]struct{ address, keys, want string }{
		"endless body":    {endless(head+"\r\n", block), "", "the body is larger than 1024 KiB"},
		"endless number":  {endless(head+"\r\n", bytes.Repeat([]byte("1"), 1024)), "parse = true", "the body is larger than 64 KiB"},
		"endless chunks":  {endless(head+"Transfer-Encoding: chunked\r\n\r\n", chunk), "", "the body is larger than 1024 KiB"},
		"400 MB":          {endless(head+"Content-Length: 400000000\r\n\r\n", block), `expect_body = "y"`, "the body is larger than 1024 KiB"},
		"4 GB chunk":      {endless(head+"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", block), `expect_body = "y"`, "the body is larger than 1024 KiB"},
		"overflown chunk": {endless(head+"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", block), "", "reading the body"},
		"gzip bomb":       {endless(head+"Content-Encoding: gzip\r\nContent-Length: "+strconv.Itoa(len(bomb))+"\r\n\r\n"+string(bomb), nil), "parse = true", "the body is larger than 64 KiB"},
		"headers":         {endless(head, bytes.Repeat([]byte("X-A: b\r\n"), 1000)), "", "the header is larger than 256 KiB"},
		"one header":      {endless(head+"X-A: ", block), "", "the header is larger than 256 KiB"},
		"status line":     {endless("HTTP/1.1 200 ", block), "", "the header is larger than 256 KiB"},
		"interim answers": {endless("", []byte("HTTP/1.1 100 Continue\r\n\r\n")), "", "the header is larger than 256 KiB"},
		"not HTTP":        {endless("SSH-2.0-x\r\n", nil), "", "the answer is not HTTP: "},
		"HTTP/2":          {endless("\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\r\n", nil), "", "the answer is not HTTP/1.1 but HTTP/2"},
	} {
		t.Run(name, func(t *testing.T) {
			p := httpProbeOf(t, "http://"+c.address, c.keys)
			before := rss(t)
			fails(t, p, c.want)
			if grown := rss(t) - before; grown > 8*raceFactor<<20 {
				t.Errorf("RSS grew by %d MiB, want at most %d", grown>>20, 8*raceFactor)
			}
		})
	}
}

// gzipped returns n zeros, compressed in parts of 1 MiB.
func gzipped(tb testing.TB, n int) []byte {
	tb.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	if _, err := zw.Write(make([]byte, 1<<20)); err != nil {
		tb.Fatal(err)
	}
	zw.Close()
	return bytes.Repeat(buf.Bytes(), n>>20)
}

func TestHTTPErrorsHaveWords(t *testing.T) {
	short := testkit.ServeConns(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
	})
	fails(t, httpProbeOf(t, "http://"+short), "the connection was closed before the answer was complete")
	none := testkit.ServeConns(t, func(c net.Conn) { http.ReadRequest(bufio.NewReader(c)) })
	fails(t, httpProbeOf(t, "http://"+none), "the connection was closed before the answer was complete")
	fails(t, httpProbeOf(t, "http://"+testkit.FreeAddress(t)), "connection refused")
	_, err := fails(t, httpProbeOf(t, "http://no-such-host.invalid/?q=1"), "no such host")
	if text := err.Error(); strings.Contains(text, "q=1") || strings.Count(text, "http://") > 1 {
		t.Errorf("error %q, want the URL once and without its query", text)
	}
}

// A good target is probed while 500 probes wait for one that never answers.
// Faults: T36, I5.
func TestTarpitsDelayNoOtherProbe(t *testing.T) {
	const tarpits = 500
	var caught atomic.Int32
	silence := testkit.ServeConns(t, func(c net.Conn) {
		caught.Add(1)
		io.Copy(io.Discard, c)
	})
	ctx, cancel := context.WithCancel(t.Context())
	var bad sync.WaitGroup
	for range tarpits {
		p := httpProbeOf(t, "http://"+silence)
		bad.Go(func() {
			if _, err := p.Probe(ctx); err == nil {
				t.Error("a tarpit answered")
			}
		})
	}
	defer bad.Wait()
	defer cancel()
	testkit.Eventually(t, 60*time.Second, "all tarpits hold a probe", func() bool { return caught.Load() == tarpits })
	s := site(t)
	for range 500 {
		begin := time.Now()
		ok(t, httpProbeOf(t, s.URL+"/status/200"))
		if took := time.Since(begin); took > 500*time.Millisecond+slack {
			t.Errorf("a good probe took %v beside %d tarpits", took, tarpits)
		}
	}
}

// Faults: G25, T38.
func TestHeadersAreSentToTheFirstHostOnly(t *testing.T) {
	var seen atomic.Pointer[http.Request]
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen.Store(r) }))
	defer other.Close()
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/self":
			http.Redirect(w, r, "/mine", http.StatusFound)
		case r.URL.Path == "/mine":
			if r.Header.Get("X-Api-Key") != "canary-key" || r.Header.Get("Authorization") == "" {
				w.WriteHeader(http.StatusForbidden)
			}
		default:
			http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
		}
	}))
	defer first.Close()
	keys := []string{`header = { X-Api-Key = "canary-key", Cookie = "canary=cookie", Host = "canary.example" }`, `user = "canary"`, `password = "canary"`}
	ok(t, httpProbeOf(t, first.URL+"/self", keys...))
	ok(t, httpProbeOf(t, first.URL+"/other?token=canary-query", keys...))
	r := seen.Load()
	if r == nil {
		t.Fatal("the redirect was not followed")
	}
	if text := fmt.Sprint(r.Header, r.Host, r.URL); strings.Contains(text, "canary") {
		t.Errorf("the other host saw %s", text)
	}
	seen.Store(nil)
	fails(t, httpProbeOf(t, first.URL+"/other", append(keys, `method = "POST"`, `body = "canary"`)...), "redirect of POST to another host")
	if seen.Load() != nil {
		t.Error("the body was sent to another host")
	}
}

func TestHTTPRestrictedTellsNothingOfTheBody(t *testing.T) {
	s := site(t)
	env := operatorOnLoopback()
	for _, key := range []string{"parse = true", `expect_body = "x"`, `expect_json = { a = "b" }`} {
		r, err := fails(t, build(t, "http", "url = "+strconv.Quote(s.URL+"/echo/canary")+"\n"+key, env), "the body")
		if strings.Contains(err.Error()+r.Detail, "canary\"") {
			t.Errorf("%s: %q or %q tells of the body", key, err, r.Detail)
		}
	}
}

func TestHTTPProxies(t *testing.T) {
	var through atomic.Pointer[http.Request]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through.Store(r)
		io.WriteString(w, "7")
	}))
	defer proxy.Close()
	withUser := strings.Replace(proxy.URL, "http://", "http://canary:canary-password@", 1)
	r := ok(t, httpProbeOf(t, "http://far.example/x", "proxy = "+strconv.Quote(withUser), "parse = true"))
	seen := through.Swap(nil)
	if r.Value != 7 || seen == nil || seen.URL.String() != "http://far.example/x" {
		t.Errorf("value %v, request of the proxy %+v", r.Value, seen)
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("canary:canary-password"))
	if got := seen.Header.Get("Proxy-Authorization"); got != want {
		t.Errorf("authorization at the proxy %q, want %q", got, want)
	}
	t.Setenv("HTTP_PROXY", proxy.URL)
	ok(t, httpProbeOf(t, "http://far.example/x", "parse = true"))
	if through.Swap(nil) == nil {
		t.Error("HTTP_PROXY is not obeyed")
	}
	env := Env{Restricted: true}
	if _, err := run(t, build(t, "http", "url = \"http://far.invalid/\"", env), 2*time.Second); err == nil || through.Load() != nil {
		t.Error("a restricted probe went through the proxy of the environment")
	}
	bad := strings.Replace(testkit.FreeAddress(t), "127", "http://canary:canary-password@127", 1)
	_, err := fails(t, httpProbeOf(t, "http://far.example/x", "proxy = "+strconv.Quote(bad)), "refused")
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret of the proxy is in %q", err)
	}
}

// Faults: G28.
func TestURLsAndHeadersStaySecret(t *testing.T) {
	port := testkit.FreeAddress(t)
	hang := testkit.SilentServer(t)
	garbage := testkit.ServeConns(t, func(c net.Conn) { io.Copy(c, c) })
	secrets := []string{`header = { X-Key = "canary-header" }`, `body = "canary-body"`, `bearer = "canary-bearer"`, `method = "POST"`}
	for _, host := range []string{port, hang, garbage, "canary.invalid:1"} {
		p := httpProbeOf(t, "http://"+host+"/path?token=canary-query#canary-fragment", secrets...)
		_, err := run(t, p, 300*time.Millisecond)
		if err == nil {
			t.Fatal("no error")
		}
		if text := strings.ReplaceAll(err.Error(), "canary.invalid", ""); strings.Contains(text, "canary") || !strings.Contains(text, "/path") {
			t.Errorf("error %q, want the path and no secret", err)
		}
	}
	p := httpProbeOf(t, "http://canary-user:canary-pass@"+port+"/x")
	if _, err := fails(t, p, "refused"); strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret is in %q", err)
	}
}
