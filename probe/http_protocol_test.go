package probe

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// What a target says before it is asked is the answer, and part of the error.
// Faults: C27.
func TestAnswerThatIsNotHTTP(t *testing.T) {
	env := operatorOnLoopback()
	long := strings.Repeat("canary", 100)
	for said, want := range map[string]string{
		"SSH-2.0-canary\r\n":         `the answer is not HTTP: malformed HTTP response "SSH-2.0-canary"`,
		"220 canary ESMTP\r\n":       `the answer is not HTTP: malformed HTTP status code "canary"`,
		"HTTP/1.1 canary\r\n\r\n":    `the answer is not HTTP: malformed HTTP status code "canary"`,
		long + "\r\n":                `the answer is not HTTP: malformed HTTP response "canarycanary`,
		"\x00\x00\x12\x04\x00canary": `HTTP/2, which is spoken over TLS only`,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: canary\r\nContent-Length: 2\r\n\r\nok": `unsupported transfer encoding: "canary"`,
		"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nX: canary\r\n\r\nok":              `bad Content-Length "2, 2"`,
		"HTTP/1.1 200 OK\r\nno colon, canary\r\n\r\n":                                 `malformed MIME header`,
	} {
		address := testkit.ServeConns(t, func(c net.Conn) {
			io.WriteString(c, said)
			http.ReadRequest(bufio.NewReader(c))
		})
		for range 5 { // no chance decides what the error says
			_, err := fails(t, httpProbeOf(t, "http://"+address), want)
			if len(err.Error()) > maxDetail+80 {
				t.Errorf("%d bytes: %q", len(err.Error()), err)
			}
		}
		_, err := fails(t, build(t, "http", "url = \"http://"+address+"\"", env), ": the answer is not HTTP")
		if !strings.HasSuffix(err.Error(), errNotHTTP.Error()) {
			t.Errorf("an operator sees %q", err)
		}
	}
}

func TestHTTP2HeadersAreBounded(t *testing.T) {
	s, _, _ := counted(t, protocols()["HTTP/2"], func(w http.ResponseWriter, _ *http.Request) {
		for i := range 270 {
			w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1000))
		}
	})
	fails(t, httpProbeOf(t, s.URL, anyCertificate), "the header is larger than 256 KiB")
}

// A server of HTTP/2 cannot send more ahead than a little.
func TestHTTP2WindowsAreSmall(t *testing.T) {
	var sent atomic.Int64
	end := make(chan struct{})
	s, _, _ := counted(t, protocols()["HTTP/2"], func(w http.ResponseWriter, _ *http.Request) {
		defer close(end)
		for {
			n, err := w.Write(make([]byte, 16<<10))
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	fails(t, httpProbeOf(t, s.URL, anyCertificate), "the body is larger than 1024 KiB")
	<-end
	if n := sent.Load(); n > maxBody+4*connWindow {
		t.Errorf("the server sent %d KiB", n>>10)
	}
}

// Faults: C33.
func TestServersOfHTTP2Only(t *testing.T) {
	s, _, _ := counted(t, protocols()["HTTP/2"], func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.ProtoMajor) })
	if r := ok(t, httpProbeOf(t, s.URL, anyCertificate, "parse = true")); r.Value != 2 {
		t.Errorf("HTTP/%v, want HTTP/2", r.Value)
	}
	// An upgrade to another protocol exists in HTTP/1.1 only.
	socket, _, _ := counted(t, func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() }, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && r.Header.Get("Upgrade") == "websocket" {
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Connection", "Upgrade")
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
	})
	p := httpProbeOf(t, socket.URL, anyCertificate, `header = { Connection = "Upgrade", Upgrade = "websocket" }`, `expect_status = "101"`)
	if r := ok(t, p); r.Detail != "status 101, certificate "+strings.TrimPrefix(r.Detail, "status 101, certificate ") {
		t.Errorf("detail %q", r.Detail)
	}
}

// A proxy that is spoken to over TLS is not offered HTTP/2, which it would choose.
func TestProxyOverTLSAndTargetBehindIt(t *testing.T) {
	target, _, _ := counted(t, protocols()["HTTP/2"], func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "7") })
	far := strings.TrimPrefix(target.URL, "https://")
	for name, start := range map[string]func(*httptest.Server){"plain": (*httptest.Server).Start, "TLS": func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() }} {
		proxy, _, _ := counted(t, start, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodConnect || r.Host == "refused.example:443" {
				http.Error(w, "no", http.StatusForbidden)
				return
			}
			tunnel(t, w, far)
		})
		keys := []string{anyCertificate, "parse = true", "proxy = " + strconv.Quote(proxy.URL)}
		fails(t, httpProbeOf(t, "https://refused.example/", keys...), "the proxy answered CONNECT with status 403")
		if r := ok(t, httpProbeOf(t, "https://far.example/", keys...)); r.Value != 7 {
			t.Errorf("behind a proxy, %s: value %v, want 7", name, r.Value)
		}
	}
}

// tunnel joins the client of a proxy with an address.
func tunnel(t *testing.T, w http.ResponseWriter, address string) {
	out, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer out.Close()
	in, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer in.Close()
	io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
	go io.Copy(out, in)
	io.Copy(in, out)
}

// The answer counts although the request was not read, and nothing waits for a server
// that never says that it wants the body.
func TestInterimAndEarlyAnswers(t *testing.T) {
	serve := func(do func(c net.Conn, br *bufio.Reader)) string {
		return "http://" + testkit.ServeConns(t, func(c net.Conn) { do(c, bufio.NewReader(c)) })
	}
	early := serve(func(c net.Conn, br *bufio.Reader) {
		http.ReadRequest(br)
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		io.Copy(io.Discard, br)
	})
	body := "body = " + strconv.Quote(strings.Repeat("x", 1<<20))
	ok(t, httpProbeOf(t, early, `method = "POST"`, body, `expect_status = "413"`))
	patient := serve(func(c net.Conn, br *bufio.Reader) {
		r, err := http.ReadRequest(br)
		if err == nil {
			io.Copy(io.Discard, r.Body)
			io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n5")
		}
	})
	if r := ok(t, httpProbeOf(t, patient, `method = "POST"`, body, "parse = true", `header = { Expect = "100-continue" }`)); r.Value != 5 {
		t.Errorf("value %v, want 5", r.Value)
	}
}

// Faults: C26.
func TestZoneIsNotPartOfTheVerifiedName(t *testing.T) {
	ca := testkit.NewCA(t, "authority")
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Listener.Close()
	s.Listener, s.TLS = l, &tls.Config{Certificates: []tls.Certificate{ca.KeyPair("::1")}}
	s.StartTLS()
	defer s.Close()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	keys := fmt.Sprintf("tls = { ca_file = %q }", ca.File)
	ok(t, httpProbeOf(t, "https://[::1%25lo]:"+port+"/", keys))
	ok(t, build(t, "tcp", fmt.Sprintf("address = %q\n%s", "[::1%lo]:"+port, keys), Env{}))
}

// Faults: C29.
func TestQueriesAreEscaped(t *testing.T) {
	var got atomic.Pointer[string]
	s, _, _ := counted(t, (*httptest.Server).Start, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/from" {
			w.Header().Set("Location", "/to?"+r.URL.Query().Get("to"))
			w.WriteHeader(http.StatusFound)
			return
		}
		got.Store(&r.URL.RawQuery)
	})
	for query, want := range map[string]string{
		"q=a b":            "q=a%20b",
		"q=a+b&c=%20%zz":   "q=a+b&c=%20%zz",
		"q=caf\u00e9":      "q=caf%C3%A9",
		`q="<x>"|{}`:       "q=%22%3Cx%3E%22|{}",
		"a=1#fragment b":   "a=1",
		"":                 "",
		"q=a;b,c/d?e[0]=1": "q=a;b,c/d?e[0]=1",
	} {
		ok(t, httpProbeOf(t, s.URL+"/to?"+query))
		if q := *got.Load(); q != want {
			t.Errorf("%q was sent as %q, want %q", query, q, want)
		}
	}
	ok(t, httpProbeOf(t, s.URL+"/from?to=x%3Da%20b"))
	if q := *got.Load(); q != "x=a%20b" {
		t.Errorf("the query of a redirect was sent as %q", q)
	}
}
