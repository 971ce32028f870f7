package probe

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// site serves what goma's documentation and its tests speak of.
func site(tb testing.TB) *httptest.Server {
	tb.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/echo/{text}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.PathValue("text")) })
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.PathValue("code"))
		w.WriteHeader(code)
	})
	mux.HandleFunc("/is/{header}/{value}", func(w http.ResponseWriter, r *http.Request) {
		got := r.Header.Get(r.PathValue("header"))
		if r.PathValue("header") == "Host" {
			got = r.Host
		}
		if got != r.PathValue("value") {
			http.Error(w, got, http.StatusBadRequest)
		}
	})
	mux.HandleFunc("POST /post", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	mux.HandleFunc("/json", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"status":"up","n":3,"ok":true,"a.b":"dotted","items":[{"name":"x"},{"name":"y"}],"none":null}`)
	})
	s := httptest.NewServer(mux)
	tb.Cleanup(s.Close)
	return s
}

func httpProbeOf(tb testing.TB, url string, keys ...string) Probe {
	tb.Helper()
	return build(tb, "http", "url = "+strconv.Quote(url)+"\n"+strings.Join(keys, "\n"), Env{})
}

func TestHTTPGomaKeys(t *testing.T) {
	s := site(t)
	for name, c := range map[string]struct {
		path, keys string
		value      float64
	}{
		"plain":        {"/status/200", "", 0},
		"no content":   {"/status/204", "", 0},
		"parse":        {"/echo/123.45", "parse = true", 123.45},
		"header":       {"/is/X-Goma-Test/gomagoma", `header = { X-Goma-Test = "gomagoma" }`, 0},
		"agent":        {"/is/User-Agent/me", `agent = "me"`, 0},
		"agent+header": {"/is/User-Agent/me", "agent = \"me\"\nheader = { X-A = \"b\" }", 0},
		"agent wins":   {"/is/User-Agent/me", "agent = \"me\"\nheader = { user-agent = \"you\" }", 0},
		"our agent":    {"/is/User-Agent/monitor-srv", "", 0},
		"header agent": {"/is/User-Agent/you", `header = { User-Agent = "you" }`, 0},
		"host":         {"/is/Host/other.example", `header = { Host = "other.example" }`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := httpProbeOf(t, s.URL+c.path, c.keys)
			for range 2 { // the second time over the same connection
				if r := ok(t, p); r.Value != c.value {
					t.Errorf("value %v, want %v", r.Value, c.value)
				}
			}
		})
	}
	fails(t, httpProbeOf(t, s.URL+"/status/500"), "status 500, want 200-299")
	fails(t, httpProbeOf(t, s.URL+"/echo/abc", "parse = true"), `the body is not a decimal number: "abc"`)
}

func TestHTTPUserAndPasswordInURL(t *testing.T) {
	s := site(t)
	ok(t, httpProbeOf(t, strings.Replace(s.URL, "http://", "http://me:s3cret@", 1)+"/auth"))
	fails(t, httpProbeOf(t, s.URL+"/auth"), "status 401")
	ok(t, httpProbeOf(t, s.URL+"/auth", "user = \"me\"\npassword = \"s3cret\""))
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ok(t, httpProbeOf(t, s.URL+"/auth", "user = \"me\"\npassword_file = "+strconv.Quote(file)))
	t.Setenv("PROBE_TEST_BEARER", "abc")
	ok(t, httpProbeOf(t, s.URL+"/is/Authorization/Bearer abc", `bearer_env = "PROBE_TEST_BEARER"`))
}

// TestG43MethodInLowerCase is the sample of goma's documentation.
func TestG43MethodInLowerCase(t *testing.T) {
	s := site(t)
	r := ok(t, httpProbeOf(t, s.URL+"/post", `method = "post"`, `body = "42"`, `parse = true`))
	if r.Value != 42 {
		t.Errorf("value %v, want the body that was sent, 42", r.Value)
	}
	if err := refused(t, "http", "url = \"http://h/\"\nmethod = \"a b\"", Env{}); !strings.Contains(err.Error(), "method") {
		t.Errorf("error %q, want one that names method", err)
	}
}

func TestHTTPExpectations(t *testing.T) {
	s := site(t)
	ok(t, httpProbeOf(t, s.URL+"/status/404", `expect_status = "200-299, 404"`))
	fails(t, httpProbeOf(t, s.URL+"/status/200", `expect_status = "404"`), "status 200, want 404")
	ok(t, httpProbeOf(t, s.URL+"/echo/hello", `expect_body = "^h.llo$"`))
	fails(t, httpProbeOf(t, s.URL+"/echo/hello", `expect_body = "bye"`), `the body does not match expect_body "bye"`)
	ok(t, httpProbeOf(t, s.URL+"/json", `[expect_json]`, `status = "up"`, `n = 3`, `ok = true`, `items.1.name = "y"`, `"a.b" = "dotted"`))
	ok(t, httpProbeOf(t, s.URL+"/json", `expect_json = { "items.0.name" = "x", n = 3.0 }`))
	fails(t, httpProbeOf(t, s.URL+"/json", `expect_json = { status = "down" }`), `"status" is not down`)
	fails(t, httpProbeOf(t, s.URL+"/json", `expect_json = { "items.2.name" = "x" }`), `"items.2.name" is not in the body`)
	fails(t, httpProbeOf(t, s.URL+"/json", `expect_json = { items = "x" }`), `"items" is not in the body`)
	fails(t, httpProbeOf(t, s.URL+"/json", `expect_json = { none = "x" }`), `"none" is not x`)
	fails(t, httpProbeOf(t, s.URL+"/echo/hello", `expect_json = { status = "up" }`), "the body is not JSON")
}

func TestHTTPKeysAreChecked(t *testing.T) {
	const u = `url = "http://h.example/"` + "\n"
	for text, want := range map[string]string{
		"":                                           "url: this key is required",
		`url = "h.example"`:                          "url: not a URL",
		`url = "ftp://h.example/"`:                   "url: not a URL",
		`url = "http://user:pa ss@h.example/%"`:      "url: not a URL",
		`url = "http://127.1/"`:                      `host "127.1"`,
		u + `measure = "age"`:                        `measure: "age" is unknown`,
		u + `measure = "cert_days"`:                  "measure: cert_days needs",
		u + "measure = \"latency\"\nparse = true":    "contradicts parse",
		u + `expect_status = "2xx"`:                  "expect_status: ",
		u + `expect_status = "299-200"`:              "expect_status: ",
		u + `expect_body = "("`:                      "expect_body: ",
		u + `ip = "5"`:                               `ip: "5" is unknown`,
		u + `header = { "a b" = "c" }`:               "header: ",
		u + `header = { a = "b\nc" }`:                "header: ",
		u + `agent = "a\nb"`:                         "agent: ",
		u + `proxy = "nonsense"`:                     "proxy: ",
		u + `password = "x"`:                         "password: needs user",
		u + "user = \"u\"\nbearer = \"x\"":           "bearer: give either",
		u + "password = \"x\"\npassword_env = \"y\"": "give only one of password",
		u + "method = \"HEAD\"\nexpect_body = \"x\"": "the answer to HEAD has no body",
		u + `expect_json = { a = [1] }`:              "expect_json: a: want",
		u + `tls = { cert_file = "/x" }`:             "tls: give both",
		u + `headre = {}`:                            "unknown key",
	} {
		if err := refused(t, "http", text, Env{}); !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %q, want %q", text, err, want)
		}
	}
}

func TestHTTPLatencyAndPhases(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		io.WriteString(w, "done")
	}))
	defer s.Close()
	p := httpProbeOf(t, strings.Replace(s.URL, "127.0.0.1", "localhost", 1), `measure = "latency"`, `tls = { insecure_skip_verify = true }`)
	names := func(r Result) (list []string) {
		for _, ph := range r.Phases {
			list = append(list, ph.Name)
		}
		return list
	}
	r := ok(t, p)
	if got := strings.Join(names(r), " "); got != "resolve connect tls first_byte body" {
		t.Errorf("phases %q of a new connection", got)
	}
	var sum time.Duration
	for _, ph := range r.Phases {
		sum += ph.Duration
	}
	if r.Value <= 0 || sum.Seconds() > r.Value || sum.Seconds() < r.Value/2 {
		t.Errorf("latency %v s, sum of phases %v", r.Value, sum)
	}
	if got := strings.Join(names(ok(t, p)), " "); got != "first_byte body" {
		t.Errorf("phases %q of a kept connection", got)
	}
}

func TestHTTPCertificates(t *testing.T) {
	serveTLS := func(notAfter time.Time) (string, string) {
		cert, ca := certificate(t, notAfter)
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		s.Config.ErrorLog = quietLog()
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.URL, "tls = { ca_file = " + strconv.Quote(ca) + " }"
	}
	url, trust := serveTLS(time.Now().Add(10*24*time.Hour + time.Hour))
	r := ok(t, httpProbeOf(t, url, trust, `measure = "cert_days"`))
	if math.Abs(r.Value-10-1.0/24) > 0.01 || !strings.Contains(r.Detail, "certificate 10 days") {
		t.Errorf("%v days, detail %q, want 10 days and an hour", r.Value, r.Detail)
	}
	fails(t, httpProbeOf(t, url, `measure = "cert_days"`), "certificate")
	url, trust = serveTLS(time.Now().Add(-time.Hour))
	fails(t, httpProbeOf(t, url, trust), "expired")
	r = ok(t, httpProbeOf(t, url, `measure = "cert_days"`, `tls = { insecure_skip_verify = true }`))
	if r.Value >= 0 {
		t.Errorf("%v days of an expired certificate, want less than 0", r.Value)
	}
}

func TestHTTPClientCertificate(t *testing.T) {
	cert, ca := certificate(t, time.Now().Add(time.Hour))
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool.AppendCertsFromPEM(pem)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	s.Config.ErrorLog = quietLog()
	s.StartTLS()
	defer s.Close()
	certFile, keyFile := pemFiles(t, cert)
	ok(t, httpProbeOf(t, s.URL, fmt.Sprintf("tls = { ca_file = %q, cert_file = %q, key_file = %q }", ca, certFile, keyFile)))
	fails(t, httpProbeOf(t, s.URL, fmt.Sprintf("tls = { ca_file = %q }", ca)), "certificate")
}

// TestG24ClosedProbesLeaveNothing registers and unregisters 200 probes.
func TestG24ClosedProbesLeaveNothing(t *testing.T) {
	s := site(t)
	ok(t, httpProbeOf(t, s.URL+"/status/200"))
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 200 {
		p, err := New(Builtin(), "http", decodeTOML("url = "+strconv.Quote(s.URL+"/status/200")), Env{})
		if err != nil {
			t.Fatal(err)
		}
		ok(t, p)
		p.Close()
	}
	eventually(t, 5*time.Second, "no goroutine and no file is left", func() bool {
		return runtime.NumGoroutine() <= goroutines+5 && openFiles(t) <= files+5
	})
}

// TestG25HeadersStayWithTheFirstHost also belongs to T38.
func TestG25HeadersStayWithTheFirstHost(t *testing.T) {
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

func TestT38RedirectsAreBounded(t *testing.T) {
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

func TestT38RestrictedProbesFollowNothing(t *testing.T) {
	var heard atomic.Int32
	canary := serve(t, func(net.Conn) { heard.Add(1) })
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+canary+"/", http.StatusFound)
	}))
	defer s.Close()
	env := Env{Restricted: true, AllowTargets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	fails(t, build(t, "http", "url = "+strconv.Quote(s.URL), env), "redirects are not followed")
	if heard.Load() > 0 {
		t.Error("the redirect was followed")
	}
}

func TestHTTPRestrictedTellsNothingOfTheBody(t *testing.T) {
	s := site(t)
	env := Env{Restricted: true, AllowTargets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for _, key := range []string{"parse = true", `expect_body = "x"`, `expect_json = { a = "b" }`} {
		r, err := fails(t, build(t, "http", "url = "+strconv.Quote(s.URL+"/echo/canary")+"\n"+key, env), "the body")
		if strings.Contains(err.Error()+r.Detail, "canary\"") {
			t.Errorf("%s: %q or %q tells of the body", key, err, r.Detail)
		}
	}
	address := serve(t, func(c net.Conn) {
		io.WriteString(c, "SSH-2.0-canary\r\n")
		io.Copy(io.Discard, c)
	})
	_, err := fails(t, build(t, "http", "url = \"http://"+address+"/\"", env), "not HTTP")
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("%q tells of the answer", err)
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
	bad := strings.Replace(freePort(t), "127", "http://canary:canary-password@127", 1)
	_, err := fails(t, httpProbeOf(t, "http://far.example/x", "proxy = "+strconv.Quote(bad)), "refused")
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret of the proxy is in %q", err)
	}
}

func TestG28URLsAndHeadersStaySecret(t *testing.T) {
	port := freePort(t)
	hang := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	garbage := serve(t, func(c net.Conn) { io.WriteString(c, "canary-echo\n") })
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

func TestT36TarpitsFailAtTheDeadline(t *testing.T) {
	drip := func(c net.Conn, text string) {
		for i := range len(text) {
			if _, err := io.WriteString(c, text[i:i+1]); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond) // what the villain does
		}
	}
	silence := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	headers := serve(t, func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\nX-A: "+strings.Repeat("a", 1000)) })
	body := serve(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
		drip(c, strings.Repeat("1", 1000))
	})
	interim := serve(t, func(c net.Conn) { drip(c, strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100)) })
	for name, url := range map[string]string{
		"silence": "http://" + silence, "headers": "http://" + headers, "body": "http://" + body,
		"tls": "https://" + silence, "interim": "http://" + interim,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timesOut(t, httpProbeOf(t, url))
		})
	}
}

func TestHTTPStopsAtOnceWhenCancelled(t *testing.T) {
	silence := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
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

// TestT37BodiesAreBounded also proves G23.
func TestT37BodiesAreBoundedG23(t *testing.T) {
	endless := func(header string, chunk []byte) string {
		return serve(t, func(c net.Conn) {
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
		"interim answers": {endless("", []byte("HTTP/1.1 100 Continue\r\n\r\n")), "", "more than 5 interim answers"},
		"not HTTP":        {endless("SSH-2.0-x\r\n", nil), "", "the answer is not HTTP/1.1"},
		"HTTP/2":          {endless("\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\r\n", nil), "", "the answer is not HTTP/1.1"},
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

// gzipped returns n zeros, packed in as many parts as there are MiB.
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

func TestHTTPCompressedBodies(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			io.WriteString(w, "plain")
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		zw := gzip.NewWriter(w)
		defer zw.Close()
		io.WriteString(zw, "3.5")
	}))
	defer s.Close()
	if r := ok(t, httpProbeOf(t, s.URL, "parse = true")); r.Value != 3.5 {
		t.Errorf("value %v, want 3.5", r.Value)
	}
	ok(t, httpProbeOf(t, s.URL, `header = { Accept-Encoding = "identity" }`, `expect_body = "^plain$"`))
}

// TestLaneKeepsItsConnection counts the connections that probes make.
func TestLaneKeepsItsConnection(t *testing.T) {
	var conns atomic.Int32
	var answer atomic.Pointer[func(http.ResponseWriter, *http.Request)]
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	for name, c := range map[string]struct {
		handle func(http.ResponseWriter, *http.Request)
		keys   string
		want   int32
	}{
		"length":         {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "1") }, "parse = true", 1},
		"chunked":        {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); io.WriteString(w, "1") }, "parse = true", 1},
		"empty":          {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "", 1},
		"head":           {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "10") }, `method = "HEAD"`, 1},
		"bad status":     {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }, `expect_status = "500"`, 1},
		"closing":        {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }, "", 5},
		"not repeatable": {func(http.ResponseWriter, *http.Request) {}, `method = "POST"`, 5},
		"too large":      {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 3<<20)) }, "", 5},
	} {
		t.Run(name, func(t *testing.T) {
			answer.Store(&c.handle)
			conns.Store(0)
			p := httpProbeOf(t, s.URL, c.keys)
			for range 5 {
				_, err := run(t, p, 10*time.Second)
				if (err != nil) != (name == "too large") {
					t.Fatal(err)
				}
			}
			if got := conns.Load(); got != c.want {
				t.Errorf("%d connections for 5 probes, want %d", got, c.want)
			}
		})
	}
}

// TestLaneSurvivesAServerThatClosesIdleConnections closes each connection after
// its answer without saying so.
func TestLaneSurvivesAServerThatClosesIdleConnections(t *testing.T) {
	for name, closeEarly := range map[string]bool{"before the next request": true, "as the next request arrives": false} {
		t.Run(name, func(t *testing.T) {
			var conns atomic.Int32
			closed := make(chan struct{}, 100)
			address := serve(t, func(c net.Conn) {
				conns.Add(1)
				br := bufio.NewReader(c)
				if _, err := http.ReadRequest(br); err != nil {
					return
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n5")
				if !closeEarly {
					br.ReadByte() // the next request has begun
				}
				c.Close()
				closed <- struct{}{}
			})
			p := httpProbeOf(t, "http://"+address, "parse = true")
			for range 5 {
				if r := ok(t, p); r.Value != 5 {
					t.Fatalf("value %v, want 5", r.Value)
				}
				if closeEarly {
					<-closed
				}
			}
			if n := conns.Load(); n != 5 {
				t.Errorf("%d connections, want 5", n)
			}
		})
	}
}

// TestLaneNeverTakesALeftoverForAnAnswer sends more than was asked for.
func TestLaneNeverTakesALeftoverForAnAnswer(t *testing.T) {
	address := serve(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n5HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n6")
		}
	})
	p := httpProbeOf(t, "http://"+address, "parse = true")
	for range 10 {
		if r := ok(t, p); r.Value != 5 {
			t.Fatalf("value %v, want 5: the answer to nobody's request was taken", r.Value)
		}
	}
}

func TestHTTPErrorsHaveWords(t *testing.T) {
	short := serve(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
	})
	fails(t, httpProbeOf(t, "http://"+short), "the connection was closed before the answer was complete")
	none := serve(t, func(c net.Conn) { http.ReadRequest(bufio.NewReader(c)) })
	fails(t, httpProbeOf(t, "http://"+none), "the connection was closed before the answer was complete")
	fails(t, httpProbeOf(t, "http://"+freePort(t)), "connection refused")
	fails(t, httpProbeOf(t, "http://no-such-host.invalid/"), "no such host")
}

func TestHTTPVersionOfIP(t *testing.T) {
	s := site(t)
	ok(t, httpProbeOf(t, s.URL+"/status/200", `ip = "4"`))
	if _, err := run(t, httpProbeOf(t, s.URL+"/status/200", `ip = "6"`), 5*time.Second); err == nil {
		t.Error("an address of IPv4 was reached by IPv6")
	}
}

// TestT36TarpitsDelayNoGoodProbe probes a good target while 500 probes wait for
// one that never answers.
func TestT36TarpitsDelayNoGoodProbe(t *testing.T) {
	const tarpits = 500
	var caught atomic.Int32
	silence := serve(t, func(c net.Conn) {
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
	eventually(t, 60*time.Second, "all tarpits hold a probe", func() bool { return caught.Load() == tarpits })
	s := site(t)
	for range 500 {
		begin := time.Now()
		ok(t, httpProbeOf(t, s.URL+"/status/200"))
		if took := time.Since(begin); took > 500*time.Millisecond+slack {
			t.Errorf("a good probe took %v beside %d tarpits", took, tarpits)
		}
	}
}

// serverWord makes the test binary an HTTP server, so that its work is not
// counted as ours.
const serverWord = "a-server-to-be-probed"

func runServer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	os.Exit(1)
}

// otherProcess starts the server and returns its URL.
func otherProcess(tb testing.TB) string {
	tb.Helper()
	server := exec.Command(os.Args[0], serverWord)
	stdin, err := server.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := server.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		stdin.Close()
		_ = server.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return "http://" + strings.TrimSpace(address) + "/"
}

// paced runs 100 probes, each every 100 ms, evenly spread: 1,000 a second, as
// monitors do, and reports the CPU time of 1,000 of them.
func paced(b *testing.B, start func() func(context.Context) error) {
	const probes, every = 100, 100 * time.Millisecond
	b.ReportAllocs()
	begin, cpu := time.Now(), selfCPU()
	var wg sync.WaitGroup
	for i := range probes {
		wg.Go(func() {
			probe := start()
			for k := range b.N / probes {
				time.Sleep(time.Until(begin.Add(every*time.Duration(k) + every/probes*time.Duration(i))))
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				if err := probe(ctx); err != nil {
					b.Error(err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	b.ReportMetric((selfCPU()-cpu).Seconds()/float64(b.N/probes*probes)*1000, "CPU-s/1000")
}

// BenchmarkHTTPPaced reports what target 6 of the performance plan bounds by
// 0.12 s, but for the work of the loop around it.
func BenchmarkHTTPPaced(b *testing.B) {
	url := otherProcess(b)
	paced(b, func() func(context.Context) error {
		p := httpProbeOf(b, url)
		return func(ctx context.Context) error {
			_, err := p.Probe(ctx)
			return err
		}
	})
}

// BenchmarkHTTPBarePaced does the same by a plain http.Client for each target.
func BenchmarkHTTPBarePaced(b *testing.B) {
	url := otherProcess(b)
	paced(b, func() func(context.Context) error {
		client := &http.Client{Transport: &http.Transport{}}
		b.Cleanup(client.CloseIdleConnections)
		return func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return err
		}
	})
}

// BenchmarkHTTPProbe probes flat out. The figure holds the work of the server,
// which is in the same process.
func BenchmarkHTTPProbe(b *testing.B) {
	p := httpProbeOf(b, site(b).URL+"/status/200")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Probe(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
