package probe

import (
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// site serves the pages that goma's documentation and tests use.
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
	file := testkit.NewFile(t, "password", "s3cret\n")
	ok(t, httpProbeOf(t, s.URL+"/auth", "user = \"me\"\npassword_file = "+strconv.Quote(file)))
	t.Setenv("PROBE_TEST_BEARER", "abc")
	ok(t, httpProbeOf(t, s.URL+"/is/Authorization/Bearer abc", `bearer_env = "PROBE_TEST_BEARER"`))
}

// The method is that of the sample in goma's documentation.
// Faults: G43.
func TestLowerCaseMethodIsAccepted(t *testing.T) {
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
	fails(t, httpProbeOf(t, s.URL+"/json", `expect_json = { status = "down" }`), `"status" is not "down"`)
	fails(t, httpProbeOf(t, s.URL+"/json", `expect_json = { "items.2.name" = "x" }`), `"items.2.name" is not in the body`)
	fails(t, httpProbeOf(t, s.URL+"/json", `expect_json = { items = "x" }`), `"items" is not "x" but a list of 2`)
	fails(t, httpProbeOf(t, s.URL+"/json", `expect_json = { none = "x" }`), `"none" is not "x"`)
	fails(t, httpProbeOf(t, s.URL+"/echo/hello", `expect_json = { status = "up" }`), "the body is not JSON")
}

func TestHTTPKeysAreChecked(t *testing.T) {
	const u = `url = "http://h.example/"` + "\n"
	refusedWith(t, "http", map[string]string{
		"":                                           "url: this key is required",
		u + `url_file = "/x"`:                        "give only one of url, url_file and url_env",
		`url_env = "PROBE_TEST_NO_URL"`:              `url_env: variable "PROBE_TEST_NO_URL" is not set`,
		u + `unix = "run/x.sock"`:                    `unix: "run/x.sock" is not an absolute path`,
		u + "unix = \"/x\"\nip = \"4\"":              "unix: needs neither ip nor proxy",
		u + `measure = "json"`:                       "measure: json needs the key json",
		u + "measure = \"latency\"\njson = \"a\"":    "contradicts the key json",
		u + `json = "len()"`:                         "json: want a path",
		u + "method = \"HEAD\"\njson = \"a\"":        "the answer to HEAD has no body",
		u + `expect_not_body = "("`:                  "expect_not_body: ",
		u + `expect_json = [1]`:                      "expect_json: want a list of conditions",
		u + `expect_json = 3`:                        "want a table such as",
		u + `expect_json = ["a = 1"]`:                `expect_json: "a = 1": want one of == != < <= > >=`,
		u + `expect_json = ["a > 'x'"]`:              "want a number after >",
		u + `expect_json = ["a == up"]`:              "a text in quotes",
		u + `expect_json = ["a == [1]"]`:             "cannot be compared",
		u + `expect_json = ["!a == 1"]`:              "after ! want a path alone",
		u + `expect_json = ["== 1"]`:                 "want a path",
		`url = "h.example"`:                          "url: not an http or https URL",
		`url = "ftp://h.example/"`:                   "url: not an http or https URL",
		`url = "http://user:pa ss@h.example/%"`:      "url: not an http or https URL",
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
	})
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
	// The library may still be putting the connection back when a probe returns.
	testkit.Eventually(t, 10*time.Second, "a kept connection has the phases of the answer alone", func() bool {
		return strings.Join(names(ok(t, p)), " ") == "first_byte body"
	})
}

func TestHTTPCertificates(t *testing.T) {
	serveTLS := func(notAfter time.Time) (string, string) {
		cert, ca := testkit.SelfSigned(t, notAfter)
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
	cert, ca := testkit.SelfSigned(t, time.Now().Add(time.Hour))
	pool := x509.NewCertPool()
	pem := testkit.ReadFile(t, ca)
	pool.AppendCertsFromPEM(pem)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	s.Config.ErrorLog = quietLog()
	s.StartTLS()
	defer s.Close()
	certFile, keyFile := testkit.PEMFiles(t, filepath.Join(t.TempDir(), "cert"), cert)
	ok(t, httpProbeOf(t, s.URL, fmt.Sprintf("tls = { ca_file = %q, cert_file = %q, key_file = %q }", ca, certFile, keyFile)))
	fails(t, httpProbeOf(t, s.URL, fmt.Sprintf("tls = { ca_file = %q }", ca)), "certificate")
}

// 200 probes are registered and unregistered.
// Faults: G24, I3.
func TestClosedProbesLeaveNothingBehind(t *testing.T) {
	// A garbage collection would close leaked files.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	s := site(t)
	ok(t, httpProbeOf(t, s.URL+"/status/200"))
	goroutines, files := runtime.NumGoroutine(), testkit.OpenFiles(t)
	for range 200 {
		p, err := New(Builtin(), "http", decodeTOML("url = "+strconv.Quote(s.URL+"/status/200")), Env{})
		if err != nil {
			t.Fatal(err)
		}
		ok(t, p)
		p.Close()
	}
	testkit.Eventually(t, 5*time.Second, "no goroutine and no file is left", func() bool {
		return runtime.NumGoroutine() <= goroutines+5 && testkit.OpenFiles(t) <= files+5
	})
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

func TestHTTPVersionOfIP(t *testing.T) {
	s := site(t)
	ok(t, httpProbeOf(t, s.URL+"/status/200", `ip = "4"`))
	if _, err := run(t, httpProbeOf(t, s.URL+"/status/200", `ip = "6"`), 5*time.Second); err == nil {
		t.Error("an address of IPv4 was reached by IPv6")
	}
}
