package probe

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

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
	env := Env{Restricted: true, AllowTargets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for _, key := range []string{"parse = true", `expect_body = "x"`, `expect_json = { a = "b" }`} {
		r, err := fails(t, build(t, "http", "url = "+strconv.Quote(s.URL+"/echo/canary")+"\n"+key, env), "the body")
		if strings.Contains(err.Error()+r.Detail, "canary\"") {
			t.Errorf("%s: %q or %q tells of the body", key, err, r.Detail)
		}
	}
	address := testkit.ServeConns(t, func(c net.Conn) {
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
	bad := strings.Replace(testkit.FreeAddress(t), "127", "http://canary:canary-password@127", 1)
	_, err := fails(t, httpProbeOf(t, "http://far.example/x", "proxy = "+strconv.Quote(bad)), "refused")
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret of the proxy is in %q", err)
	}
}

// Faults: G28.
func TestURLsAndHeadersStaySecret(t *testing.T) {
	port := testkit.FreeAddress(t)
	hang := testkit.ServeConns(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	garbage := testkit.ServeConns(t, func(c net.Conn) { io.WriteString(c, "canary-echo\n") })
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
