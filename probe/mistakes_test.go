package probe

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// mistake is a wrong configuration and a part of the error that it must cause.
type mistake struct{ keys, want string }

// checkMistakes checks the errors of mistakes: they say where, in which step and why,
// and contain no secret.
func checkMistakes(t *testing.T, kind string, mistakes map[string]mistake) {
	t.Helper()
	for name, m := range mistakes {
		// As whoever runs probes does it.
		ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, errors.New("no answer in time"))
		_, err := build(t, kind, m.keys, Env{}).Probe(ctx)
		cancel()
		if err == nil {
			t.Errorf("%s, %s: no error, want %q", kind, name, m.want)
			continue
		}
		text := err.Error()
		if !strings.Contains(text, m.want) || len(text) > 250 || strings.Contains(text, "canary") || strings.Contains(text, "\n") {
			t.Errorf("%s, %s:\ngot  %s\nwant %s", kind, name, text, m.want)
		}
	}
}

// sqlMistakes checks mistakes that are possible with every database at address, and
// more.
func sqlMistakes(t *testing.T, kind, dsn, address string, more map[string]mistake) {
	t.Helper()
	keys := func(old, text string) string {
		return "query = \"SELECT 1\"\ndsn = \"" + strings.Replace(dsn, old, text, 1) + "\""
	}
	silent := testkit.SilentServer(t)
	closed := testkit.FreeAddress(t)
	all := map[string]mistake{
		"another port":  {keys(address, closed), closed + ": connecting: dial tcp " + closed + ": connect: connection refused"},
		"silence":       {keys(address, silent), silent + ": connecting: no answer in time"},
		"unknown host":  {keys("127.0.0.1", "no-such-host.invalid"), "lookup no-such-host.invalid"},
		"wrong query":   {strings.Replace(keys("", ""), "SELECT 1", "SELEC 1", 1), address + ": running the query: "},
		"no number":     {strings.Replace(keys("", ""), "SELECT 1", "SELECT 'a'", 1), address + ": the answer is not a decimal number"},
		"IPv6, refused": {keys(address, "[::1]:1"), "[::1]:1: connecting: dial tcp [::1]:1: connect: "},
	}
	for name, m := range more {
		m.keys = "query = \"SELECT 1\"\ndsn = \"" + m.keys + "\""
		all[name] = m
	}
	checkMistakes(t, kind, all)
}

func mariaDBMistakes(t *testing.T, dsn string) {
	_, address, _ := strings.Cut(strings.TrimSuffix(dsn, ")/d"), "tcp(")
	sqlMistakes(t, "mysql", dsn, address, map[string]mistake{
		"wrong password": {strings.Replace(dsn, "canary-password", "canary-wrong", 1), address + `: connecting: Error 1045 (28000): Access denied for user 'monitor'`},
		"TLS":            {dsn + "?tls=true", address + ": connecting: tls: failed to verify certificate"},
		"a variable":     {dsn + "?no_such_variable=1", address + ": connecting: Error 1193 (HY000): Unknown system variable 'no_such_variable"},
	})
}

func postgreSQLMistakes(t *testing.T, dsn string) {
	address, _, _ := strings.Cut(dsn[strings.LastIndex(dsn, "@")+1:], "/")
	sqlMistakes(t, "postgres", dsn, address, map[string]mistake{
		"wrong password":            {strings.Replace(dsn, "canary-password", "canary-wrong", 1), address + `: connecting: failed SASL auth: FATAL: password authentication failed for user "monitor" (SQLSTATE 28P01)`},
		"TLS":                       {strings.Replace(dsn, "disable", "verify-full", 1), address + ": connecting: failed to write startup message: write failed: tls: failed to verify certificate"},
		"TLS if possible, database": {strings.Replace(dsn, "postgres?sslmode=disable", "nosuch?sslmode=prefer", 1), address + `: connecting: server error: FATAL: `},
	})
}

// A Redis server with TLS only.
func TestRedisServerWithTLS(t *testing.T) {
	program := needProgram(t, "redis-server")
	pair, ca := testkit.SelfSigned(t, time.Now().Add(time.Hour))
	cert, key := testkit.PEMFiles(t, filepath.Join(t.TempDir(), "cert"), pair)
	address := testkit.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	startServer(t, exec.Command(program, "--port", "0", "--tls-port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir(),
		"--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca, "--tls-auth-clients", "no"))
	trusted := "address = \"" + address + "\"\n[tls]\nca_file = \"" + ca + "\"\n"
	ready := build(t, "redis", trusted, Env{})
	testkit.Eventually(t, 30*time.Second, "redis-server answers", func() bool {
		_, err := run(t, ready, time.Second)
		return err == nil
	})
	silent := testkit.SilentServer(t)
	closed := testkit.FreeAddress(t)
	checkMistakes(t, "redis", map[string]mistake{
		"no TLS":         {"address = \"" + address + "\"", address + ": running PING: "},
		"not trusted":    {"address = \"" + address + "\"\n[tls]", address + ": tls handshake: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		"another name":   {trusted + "server_name = \"other\"", "certificate is valid for localhost, not other"},
		"TLS to silence": {"address = \"" + silent + "\"\n[tls]", silent + ": tls handshake: no answer in time"},
		"silence":        {"address = \"" + silent + "\"\npassword = \"canary-password\"", silent + ": authenticating: no answer in time"},
		"another port":   {"address = \"" + closed + "\"", closed + ": connecting: dial tcp " + closed + ": connect: connection refused"},
	})
}

// The error does not contain the local port, which changes with each probe.
func TestReasonsStayTheSame(t *testing.T) {
	resets := testkit.ServeConns(t, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() })
	for kind, keys := range map[string]string{
		"redis": "address = \"" + resets + "\"",
		"tcp":   "address = \"" + resets + "\"\nexpect = \"x\"",
		"http":  "url = \"http://" + resets + "/\"",
		"dns":   "server = \"" + testkit.FreeAddress(t) + "\"\nname = \"a\"",
	} {
		p := build(t, kind, keys, Env{})
		_, first := fails(t, p, "")
		if strings.Contains(first.Error(), "->") {
			t.Errorf("%s: %v holds our own port", kind, first)
		}
	}
}

// The error contains the name server, and no number of answers if there was none.
func TestDNSTellsWhomItAsked(t *testing.T) {
	server := testkit.FreeAddress(t)
	r, _ := fails(t, build(t, "dns", "server = \""+server+"\"\nname = \"www.example\"", Env{}), "www.example A of "+server+": waiting for the answer: ")
	if r.Detail != "" {
		t.Errorf("detail %q although nothing was answered", r.Detail)
	}
}

// A user name without a password is not a secret.
// Faults: G28.
func TestUserNamesAreShown(t *testing.T) {
	_, err := fails(t, sqlProbeOf(t, "postgres", "postgres://monitor@"+testkit.FreeAddress(t)+"/monitor?application_name=monitor", "SELECT 1"), "connection refused")
	if strings.Contains(err.Error(), "<secret>") {
		t.Errorf("got %v", err)
	}
}

// As with goma, an empty method is the default.
func TestEmptyMethodIsGET(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	}))
	defer s.Close()
	ok(t, build(t, "http", "url = \""+s.URL+"\"\nmethod = \"\"", Env{}))
}
