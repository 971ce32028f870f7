package action

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// rawHook starts a server on a free port of ::1 that answers each request with the same
// text, over TLS unless conf is nil. It counts the requests.
func rawHook(t *testing.T, conf *tls.Config, answer string) (address string, asked *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	if conf != nil {
		l = tls.NewListener(l, conf)
	}
	asked = new(atomic.Int32)
	testkit.ServeListener(t, l, func(c net.Conn) {
		testkit.ReadHTTPRequest(c)
		asked.Add(1)
		_, _ = io.WriteString(c, answer)
	})
	return address, asked
}

// Faults: P7.
func TestReceiverThatAnsweredWithSuccessIsNotNotifiedAgain(t *testing.T) {
	ca := testkit.NewCA(t, "authority")
	secure := &tls.Config{Certificates: []tls.Certificate{ca.KeyPair("::1")}}
	for _, c := range []struct {
		answer   string
		accepted bool
	}{
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok", true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", true},
		{"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", true},
		{"HTTP/1.1 202 Accepted\r\nno colon\r\n\r\n", true},
		{"HTTP/1.0 204\r\nno colon\r\n\r\n", true},
		{"HTTP/1.1 200 OK\nno colon\n\n", true},
		{"HTTP/1.1 200 OK\r\nX: cut", true},
		{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxResponse) + "\r\n\r\n", true},
		{"HTTP/1.1 200 OK", false},
		{"HTTP/1.1 2000 OK\r\nno colon\r\n\r\n", false},
		{"HTTP/1.1 500 HTTP/1.1 200 OK\r\nno colon\r\n\r\n", false},
		{"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: two\r\n\r\n", false},
		{"no HTTP/1.1 200 OK\r\n\r\n", false},
		{"", false},
	} {
		for scheme, conf := range map[string]*tls.Config{"http": nil, "https": secure} {
			address, asked := rawHook(t, conf, c.answer)
			var log strings.Builder
			env := testEnv
			env.Log = testkit.InfoTo(&log)
			a, err := newHTTP(testkit.DecodeTOML(fmt.Sprintf("url_fail = \"%s://%s/canary-path\"\nmethod = \"POST\"\n[tls]\nca_file = %q", scheme, address, ca.File)), env)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := a.Notify(t.Context(), []Notification{testFail}); (err == nil) != c.accepted {
					t.Errorf("%s %.60q: got %v, want it accepted: %v", scheme, c.answer, err, c.accepted)
				}
			}
			if n := asked.Load(); n != 2 {
				t.Errorf("%s %.60q: %d requests of 2 notifications", scheme, c.answer, n)
			}
			if n := strings.Count(log.String(), "an answer that cannot be read"); (n == 1) != c.accepted || strings.Contains(log.String(), "canary") {
				t.Errorf("%s %.60q: want one line without secrets:\n%s", scheme, c.answer, &log)
			}
		}
	}
}

// The success of one notification says nothing about the next one on its connection.
// Faults: P7.
func TestEachAnswerOfAConnectionIsJudgedAlone(t *testing.T) {
	var conns atomic.Int32
	address := testkit.ServeConns(t, func(c net.Conn) {
		conns.Add(1)
		testkit.ReadHTTPRequest(c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		testkit.ReadHTTPRequest(c)
		_, _ = io.WriteString(c, "HTTP/1.1 503 No\r\nno colon\r\n\r\n")
	})
	a := build(t, "http", fmt.Sprintf("url_fail = \"http://%s\"\nmethod = \"POST\"", address))
	sendAll(t, a, testFail)
	if err := a.Notify(t.Context(), []Notification{testRepeat}); err == nil || !strings.Contains(err.Error(), "malformed") || conns.Load() != 1 {
		t.Errorf("got %v on connection %d, want an error on the first one", err, conns.Load())
	}
}

// Faults: C26.
func TestZoneIsNotPartOfTheVerifiedNameOfAReceiver(t *testing.T) {
	ca := testkit.NewCA(t, "authority")
	for name, good := range map[string]bool{"::1": true, "::2": false} {
		address, _ := rawHook(t, &tls.Config{Certificates: []tls.Certificate{ca.KeyPair(name)}}, "HTTP/1.1 200 OK\r\n\r\n")
		a := build(t, "http", fmt.Sprintf("url_fail = \"https://%s/\"\n[tls]\nca_file = %q", strings.Replace(address, "]", "%25lo]", 1), ca.File))
		if err := a.Notify(t.Context(), []Notification{testFail}); (err == nil) != good {
			t.Errorf("a certificate of %s: got %v", name, err)
		}
	}
}
