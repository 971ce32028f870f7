package probe

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// packed compresses a text.
func packed(text string, writer func(io.Writer) io.WriteCloser) string {
	var buf bytes.Buffer
	w := writer(&buf)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return buf.String()
}

func gzipOf(text string) string {
	return packed(text, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
}

// answering starts a server that gives the answer to each connection, and leaves it open
// unless the answer is one of HTTP/1.0, which ends with it.
func answering(tb testing.TB, answer string) string {
	tb.Helper()
	return "http://" + testkit.ServeConns(tb, func(c net.Conn) {
		br := bufio.NewReader(c)
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		_, _ = io.WriteString(c, answer)
		if !strings.HasPrefix(answer, "HTTP/1.0") {
			_, _ = io.Copy(io.Discard, br)
		}
	})
}

// page200 is an answer with a body and fields, each with its line end.
func page200(body string, fields ...string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s", len(body), strings.Join(fields, "\r\n")+strings.Repeat("\r\n", min(1, len(fields))), body)
}

// Answers that users of other tools met. No error means that the probe succeeds.
// Faults: C01, C03, C04, P1, P3, P4, P5.
func TestOddHTTPAnswers(t *testing.T) {
	const (
		up   = `{"status":"UP"}`
		isUp = `expect_json = { status = "UP" }`
	)
	raw := packed(up, func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 9); return f })
	deflated := packed(up, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	large := strings.Repeat("x", maxBody+1)
	for name, c := range map[string]struct{ answer, keys, err string }{
		"text behind JSON":         {page200(up + "<br />\n<b>Fatal error</b>: memory"), isUp, `the body is not JSON: something follows its end: "{\"status\":\"UP\"}<br />"`},
		"two documents":            {page200(up + "\n" + up), isUp, "the body is not JSON: something follows its end"},
		"blanks around JSON":       {page200("\n " + up + "\r\n\n"), isUp, ""},
		"a page in place of JSON":  {page200("<!DOCTYPE html>\n<html><head><title>502 Bad\nGateway</title>"), isUp, `the body is not JSON: "502 Bad Gateway"`},
		"GZIP":                     {page200(gzipOf(up), "Content-Encoding: GZIP"), isUp, ""},
		"x-gzip":                   {page200(gzipOf(up), "content-encoding:x-gzip"), isUp, ""},
		"gzip twice":               {page200(gzipOf(gzipOf(up)), "Content-Encoding: gzip, gzip"), isUp, ""},
		"gzip in two fields":       {page200(gzipOf(gzipOf(up)), "Content-Encoding: gzip", "Content-Encoding: gzip"), isUp, ""},
		"gzip ten times":           {page200("", "Content-Encoding: gzip"+strings.Repeat(", gzip", 9)), isUp, "more than 3 codings"},
		"gzip that is none":        {page200(up, "Content-Encoding: gzip"), isUp, "decompressing the body: "},
		"gzip that is cut":         {page200(gzipOf(up)[:20], "Content-Encoding: gzip"), isUp, "reading the body: unexpected EOF"},
		"gzip of nothing":          {page200("", "Content-Encoding: gzip"), `expect_body = "^$"`, ""},
		"deflate":                  {page200(deflated, "Content-Encoding: deflate"), isUp, ""},
		"deflate without zlib":     {page200(raw, "Content-Encoding: Deflate"), isUp, ""},
		"a coding nobody asked":    {page200("xxxx", "Content-Encoding: br"), isUp, "the coding br is not supported"},
		"a part of what is packed": {strings.Replace(page200(gzipOf(up)[9:20], "Content-Encoding: gzip"), "200", "206", 1), "", ""},
		"no coding":                {page200(up, "Content-Encoding: UTF-8"), isUp, ""},
		"own Accept-Encoding":      {page200(gzipOf(up), "Content-Encoding: gzip"), isUp + "\nheader = { Accept-Encoding = \"gzip, br\" }", ""},
		"mark before JSON":         {page200("\ufeff" + up), isUp, ""},
		"mark before a number":     {page200("\ufeff42\r\n"), "parse = true", ""},
		"mark before a text":       {page200("\ufeffready"), `expect_body = "^ready$"`, ""},
		"UTF-16":                   {page200("\xff\xfe4\x002\x00"), "parse = true", ""},
		"Latin-1":                  {page200("caf\xe9", "Content-Type: text/plain; charset=ISO-8859-1"), `expect_body = "^café$"`, ""},
		"Latin-1 in the page":      {page200("<meta charset=latin1><p>caf\xe9", "Content-Type: text/html"), `expect_body = "café"`, ""},
		"Latin-1 in XML":           {page200("<?xml version='1.0' encoding='ISO-8859-1'?>\n<p>caf\xe9</p>", "Content-Type: application/xml"), `expect_body = "café"`, ""},
		"XML in another charset":   {page200("<?xml version='1.0' encoding='ISO-8859-1'?><p>café</p>", "Content-Type: text/xml; charset=utf-8"), `expect_body = "café"`, ""},
		"charset nobody knows":     {page200("ready", "Content-Type: text/plain; charset=klingon"), `expect_body = "^ready$"`, ""},
		"redirect to no web page":  {"HTTP/1.1 302 Found\r\nLocation: ftp://a.example/\r\nContent-Length: 0\r\n\r\n", "", `redirect to a URL of scheme "ftp": not followed`},
		"HTTP/1.0":                 {"HTTP/1.0 200 OK\r\n\r\nready", `expect_body = "^ready$"`, ""},
		"no reason phrase":         {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "", ""},
		"line feeds only":          {"HTTP/1.1 200 OK\nContent-Length: 5\n\nready", `expect_body = "^ready$"`, ""},
		"chunks and trailers":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nready\r\n0\r\nX-T: 1\r\n\r\n", `expect_body = "^ready$"`, ""},
		"the same length twice":    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nready", `expect_body = "^ready$"`, ""},
		"two lengths":              {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nready", "", "multiple Content-Length"},
		"the words of a failure":   {"HTTP/1.1 503 No\r\nContent-Length: 40\r\n\r\n\n  upstream \x1b[31mtimed out\x1b[0m in 5 s\nmore", "", `status 503, want 200-299: "upstream [31mtimed out[0m in 5 s"`},
		"a failure without end":    {"HTTP/1.1 503 No\r\nContent-Length: 40\r\n\r\nstill here", "", `status 503, want 200-299: "still here"`},
		"a page of a failure":      {"HTTP/1.0 404 No\r\n\r\n<html><title>Not here</title>", "", `status 404, want 200-299: "Not here"`},
		"a text that must not be":  {page200("12 errors"), `expect_not_body = "[1-9][0-9]* errors"`, `the body matches expect_not_body "[1-9][0-9]* errors": "12 errors"`},
		"a text that is not":       {page200("0 errors"), "expect_not_body = \"[1-9][0-9]* errors\"\nexpect_body = \"errors\"", ""},
		"a large page":             {page200("ready" + large), `expect_body = "^ready"`, ""},
		"a large page, not so":     {page200("no\n" + large), `expect_body = "^ready"`, `the body is larger than 1024 KiB, and its start does not match expect_body "^ready": "no"`},
		"a large page without":     {page200(large), `expect_not_body = "y"`, ""},
		"large JSON":               {page200(`["` + large + `"]`), `expect_json = ["."]`, "the body is larger than 1024 KiB"},
		"a stream":                 {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ready\n\n", `expect_body = "data: ready"`, ""},
		"a stream, no condition":   {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", "", ""},
		"a number in JSON":         {page200(`{"queue":{"length":42}}`), `json = "queue.length"`, ""},
		"a number in a text":       {page200(`{"value":[1700000000,"42"]}`), `json = "value.1"`, ""},
		"the length of a list":     {page200("[" + strings.Repeat("0,", 41) + "0]"), `json = "len(.)"`, ""},
		"a bare number":            {page200("42"), `json = "."`, ""},
		"no number in JSON":        {page200(`{"queue":{"length":"many"}}`), `json = "queue.length"`, `json: "queue.length" is not a number but "many"`},
		"an object, no number":     {page200(`{"queue":{"length":42}}`), `json = "queue"`, `json: "queue" is not a number but an object of 1`},
		"nothing at the path":      {page200(`{"queue":{}}`), `json = "queue.length"`, `json: "queue.length" is not in the body: "{\"queue\":{}}"`},
		"a number out of range":    {page200(`{"n":1e999}`), `json = "n"`, `json: "n" is too large a number`},
		"another protocol follows": {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "expect_status = \"101\"\nheader = { Connection = \"Upgrade\", Upgrade = \"x\" }", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := httpProbeOf(t, answering(t, c.answer), c.keys)
			r, err := run(t, p, 5*time.Second)
			switch {
			case c.err == "" && err != nil:
				t.Errorf("error %q, want none", err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("error %v, want %q", err, c.err)
			case err == nil && strings.Contains(c.keys, "parse") != (r.Value == 42) && !strings.HasPrefix(c.keys, "json"):
				t.Errorf("value %v", r.Value)
			case err == nil && strings.HasPrefix(c.keys, "json") && r.Value != 42:
				t.Errorf("value %v, want 42", r.Value)
			}
		})
	}
}

// The status is not held back by what comes with it.
func TestUnexpectedStatusWaitsForNoBody(t *testing.T) {
	const answer = "HTTP/1.1 503 No\r\nContent-Length: 40\r\n\r\nstill here"
	testkit.TakesAtMost(t, 20*time.Second, func() {
		if _, err := run(t, httpProbeOf(t, answering(t, answer)), time.Minute); err == nil || !strings.HasSuffix(err.Error(), `: status 503, want 200-299: "still here"`) {
			t.Errorf("error %v", err)
		}
	})
	_, err := fails(t, build(t, "http", "url = "+strconv.Quote(answering(t, answer)), operatorOnLoopback()), "status 503")
	if strings.Contains(err.Error(), "still here") {
		t.Errorf("an operator sees %q", err)
	}
}

// What is cut is told.
func TestDetailSaysWhatWasCut(t *testing.T) {
	large := page200("ready" + strings.Repeat("x", maxBody))
	stream := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ready\n\n"
	slow := "HTTP/1.1 200 OK\r\n\r\nready"
	for answer, want := range map[string]string{
		large:  "status 200, 1048576 bytes read, the body is larger than 1024 KiB",
		stream: "status 200, 13 bytes read, the body is a stream",
		slow:   "status 200, 5 bytes read, the body had not ended in time",
	} {
		p := httpProbeOf(t, answering(t, answer), `expect_body = "ready"`)
		if r, err := run(t, p, time.Second); err != nil || r.Detail != want {
			t.Errorf("got %q, %v, want %q", r.Detail, err, want)
		}
	}
	timesOut(t, httpProbeOf(t, answering(t, slow), `expect_body = "not"`))
	// A page that has a length is not a stream, and here it stalls.
	timesOut(t, httpProbeOf(t, answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nready"), `expect_body = "ready"`))
}

// A web interface sends the browser to the same page until its cookie comes back.
// Faults: C06.
func TestCookiesLiveForOneProbe(t *testing.T) {
	var elsewhere atomic.Pointer[string]
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cookies := r.Header.Get("Cookie")
		elsewhere.Store(&cookies)
	}))
	defer other.Close()
	var first atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sid, err := r.Cookie("sid")
		switch {
		case err != nil:
			first.Add(1)
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: "canary", Path: "/"})
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		case r.URL.Path == "/away":
			http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
		default:
			io.WriteString(w, "welcome "+sid.Value)
		}
	}))
	defer s.Close()
	p := httpProbeOf(t, s.URL+"/ui", `expect_body = "welcome canary"`)
	for range 3 {
		ok(t, p)
	}
	if n := first.Load(); n != 3 {
		t.Errorf("%d of 3 probes began without a cookie", n)
	}
	ok(t, httpProbeOf(t, s.URL+"/away", `header = { Cookie = "own=canary" }`))
	if got := *elsewhere.Load(); got != "" {
		t.Errorf("another host got %q", got)
	}
}

// Faults: P4.
func TestHTTPOverUnixSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "http.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "http://other.example/", http.StatusFound)
		case "/here":
			http.Redirect(w, r, "/", http.StatusFound)
		}
		io.WriteString(w, r.Host+" "+r.RequestURI)
	}))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	defer s.Close()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	socket := "unix = " + strconv.Quote(path)
	for range 2 {
		ok(t, httpProbeOf(t, "http://docker.example/here", socket, `expect_body = "^docker.example /$"`))
	}
	fails(t, httpProbeOf(t, "http://docker.example/away", socket), `redirect to another host ("other.example"): not followed with unix`)
	fails(t, httpProbeOf(t, "http://docker.example/", `unix = "/nowhere/x.sock"`), "dial unix /nowhere/x.sock: connect: no such file")
}

// The path of a web hook is its secret.
// Faults: S12.
func TestURLsFromFilesStaySecret(t *testing.T) {
	echo := testkit.ServeConns(t, func(c net.Conn) { io.Copy(c, c) })
	says := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no such hook: "+strings.TrimPrefix(r.URL.Path, "/services/"), http.StatusNotFound)
	}))
	defer says.Close()
	for _, host := range []string{"http://" + echo, says.URL, "http://" + testkit.FreeAddress(t)} {
		secret := host + "/services/canary1/canary2?token=canary3"
		t.Setenv("PROBE_TEST_URL", secret)
		for _, key := range []string{"url_file = " + strconv.Quote(testkit.NewFile(t, "url", secret+"\n")), `url_env = "PROBE_TEST_URL"`} {
			r, err := run(t, build(t, "http", key, Env{}), 2*time.Second)
			if err == nil || strings.Contains(err.Error()+r.Detail, "canary") || !strings.HasPrefix(err.Error(), "GET "+host+": ") {
				t.Errorf("error %v, want one of %s without a secret", err, host)
			}
		}
	}
	for _, url := range []string{"http://canary-user:canary-pass@[::1", "http://canary-user:canary-pass@h:0/", "http://canary-user:canary-pass@127.1/", "canary-user:canary-pass@h", "ftp://canary-user:canary-pass@h/"} {
		if err := refused(t, "http", "url = "+strconv.Quote(url), Env{}); strings.Contains(err.Error(), "canary") {
			t.Errorf("%q is echoed", err)
		}
	}
}
