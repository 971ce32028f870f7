package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// dialogue is a server that follows lines: "> text" is sent, "< text" is read and must
// be that text, "tls" begins TLS, "wait" waits for the client to leave. Escapes are
// those of Go.
func dialogue(tb testing.TB, cert tls.Certificate, lines ...string) string {
	tb.Helper()
	return testkit.ServeConns(tb, func(c net.Conn) {
		br := bufio.NewReader(c)
		for _, line := range lines {
			text, err := strconv.Unquote(`"` + strings.NewReplacer("\r", `\r`, "\n", `\n`, `"`, `\"`).Replace(strings.TrimLeft(line, "<> ")) + `"`)
			if err != nil {
				panic(err)
			}
			switch {
			case line == "tls":
				secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
				if secure.Handshake() != nil {
					return
				}
				c, br = secure, bufio.NewReader(secure)
			case line == "wait":
				_, _ = io.Copy(io.Discard, br)
			case line[0] == '>':
				if _, err := io.WriteString(c, text); err != nil {
					return
				}
			default:
				got := make([]byte, len(text))
				if _, err := io.ReadFull(br, got); err != nil || string(got) != text {
					_, _ = fmt.Fprintf(c, "unexpected %q\r\n", got)
					return
				}
			}
		}
		_ = c.Close()
	})
}

// Faults: P1, P2, T36.
func TestOddTCPConversations(t *testing.T) {
	cert, ca := testkit.SelfSigned(t, time.Now().Add(30*24*time.Hour))
	trust := fmt.Sprintf("tls = { ca_file = %q }\n", ca)
	for name, c := range map[string]struct {
		keys   string
		server []string
		want   string // a part of the error; empty if all is well
	}{
		"steps":                      {`steps = [{ expect = "^220 " }, { send = "QUIT\r\n" }, { expect = "^221 " }]`, []string{"> 220 hi\r\n", `< QUIT\r\n`, "> 221 bye\r\n"}, ""},
		"expect and send in a step":  {`steps = [{ expect = "^220 ", send = "QUIT\r\n" }, { expect = "^221 " }]`, []string{"> 220 hi\r\n", `< QUIT\r\n`, "> 221 bye\r\n"}, ""},
		"lines that do not matter":   {`steps = [{ expect = "^250 " }]`, []string{"> 250-a\r\n250-b\r\n25", "> 0 c\r\n"}, ""},
		"rest of a line":             {`steps = [{ expect = "^220" }, { expect = "^250" }]`, []string{"> 220", "> and more\r\n", "> 250\r\n"}, ""},
		"two replies at once":        {`steps = [{ expect = "^one$" }, { expect = "^two$" }]`, []string{"> one\ntwo\n"}, ""},
		"second step fails":          {`steps = [{ expect = "^220 " }, { expect = "^250 " }]`, []string{"> 220 hi\r\n", "> 554 no\r\n"}, `step 2: received "554 no" before the connection was closed, want "^250"`},
		"forbidden line":             {`steps = [{ expect = "^250 ", expect_not = "^5" }]`, []string{"> 554 go away\r\n250 ok\r\n", "wait"}, `step 1: the answer matches expect_not "^5": "554 go away"`},
		"bytes":                      {`steps = [{ send = '\x00\xff\x0a' }, { expect = '^\xfe\xff' }]`, []string{`< \x00\xff\n`, `> \xfe\xff\x00`}, ""},
		"byte that is not there":     {`steps = [{ expect = '\xff' }]`, []string{`> \u00ff`}, "want"},
		"letters above 0x7f":         {`steps = [{ expect = "^grün" }]`, []string{"> grün\r\n"}, ""},
		"pattern over lines":         {`steps = [{ expect = "(?s)a.b" }]`, []string{`> a\nb`}, ""},
		"secret in a step":           {`steps = [{ send = "canary-password\r\n" }, { expect = "^ok" }]`, []string{`< canary-password\r\n`, "> wrong: canary-password\r\n"}, "received \"wrong: <secret>\" before"},
		"bytes of a secret":          {`steps = [{ send = '\x01canary-"password"\x0a' }, { expect = "^ok" }]`, []string{`< \x01canary-"password"\n`, `> wrong: \x01canary-"password"\n`}, "received \"wrong: <secret>\" before"},
		"whole reply over lines":     {`expect = "one\r\ntwo"`, []string{"> one\r\n", "> two\r\n"}, ""},
		"must not say":               {"expect = \"status\"\nexpect_not = \"degraded\"", []string{"> status: degraded\n", "wait"}, `matches expect_not "degraded": "status: degraded"`},
		"does not say":               {`expect_not = "error"`, []string{"> all is well\n"}, ""},
		"does not say, stays open":   {`expect_not = "error"`, []string{"> all is well\n", "wait"}, ""},
		"says it late":               {"send = \"x\"\nexpect_not = \"error\"", []string{"< x", "> one error\n", "wait"}, `"one error"`},
		"starttls smtp":              {"starttls = \"smtp\"\n" + trust, smtpWithTLS("220 go"), ""},
		"starttls smtp, then steps":  {"starttls = \"smtp\"\n" + `steps = [{ send = "NOOP\r\n" }, { expect = "^250" }]` + "\n" + trust, append(smtpWithTLS("220 go"), `< NOOP\r\n`, "> 250 ok\r\n"), ""},
		"starttls smtp in capitals":  {"starttls = \"smtp\"\n" + trust, []string{"> 220 hi\r\n", `< EHLO localhost\r\n`, "> 250-hi\r\n250-starttls \r\n250 SIZE\r\n", `< STARTTLS\r\n`, "> 220 go\r\n", "tls", "wait"}, ""},
		"starttls smtp not offered":  {"starttls = \"smtp\"\n" + trust, []string{"> 220 hi\r\n", `< EHLO localhost\r\n`, "> 250 hi\r\n", "wait"}, "starttls: the server does not offer it"},
		"starttls smtp refused":      {"starttls = \"smtp\"\n" + trust, smtpWithTLS("454 not now"), `starttls: the server answered "454 not now", want "220"`},
		"starttls smtp, bad banner":  {"starttls = \"smtp\"\n" + trust, []string{"> 554 no\r\n", "wait"}, `the server answered "554 no", want "220"`},
		"starttls smtp, wrong name":  {"starttls = \"smtp\"\ntls = { server_name = \"other.example\", ca_file = \"" + ca + "\" }", smtpWithTLS("220 go"), "tls handshake: tls: failed to verify certificate"},
		"starttls smtp, unknown CA":  {"starttls = \"smtp\"", smtpWithTLS("220 go"), "tls handshake: tls: failed to verify certificate"},
		"starttls smtp, injection":   {"starttls = \"smtp\"\n" + trust, smtpWithTLS("220 go\r\n250 fake"), "bytes came unasked before the handshake"},
		"starttls smtp, endless":     {"starttls = \"smtp\"\n" + trust, []string{"> " + strings.Repeat("220-a\\r\\n", 200), "wait"}, "the reply has more than 100 lines"},
		"starttls smtp, long line":   {"starttls = \"smtp\"\n" + trust, []string{"> 220 " + strings.Repeat("a", 9000), "wait"}, "a line is longer than 4 KiB"},
		"starttls smtp, closed":      {"starttls = \"smtp\"\n" + trust, []string{"> 220 hi\r\n"}, "starttls: "},
		"starttls smtp on TLS":       {"starttls = \"smtp\"\n" + trust, []string{"tls", "wait"}, "starttls: "},
		"starttls imap":              {"starttls = \"imap\"\n" + trust, []string{"> * OK hi\r\n", `< a STARTTLS\r\n`, "> * CAPABILITY IMAP4\r\na OK go\r\n", "tls", "wait"}, ""},
		"starttls imap refused":      {"starttls = \"imap\"\n" + trust, []string{"> * OK hi\r\n", `< a STARTTLS\r\n`, "> a BAD no\r\n", "wait"}, `the server answered "a BAD no", want "a OK"`},
		"starttls imap preauth":      {"starttls = \"imap\"\n" + trust, []string{"> * PREAUTH hi\r\n", "wait"}, `the server answered "* PREAUTH hi", want "* OK"`},
		"starttls pop3":              {"starttls = \"pop3\"\n" + trust, []string{"> +OK hi\r\n", `< STLS\r\n`, "> +ok go\r\n", "tls", "wait"}, ""},
		"starttls pop3 refused":      {"starttls = \"pop3\"\n" + trust, []string{"> +OK hi\r\n", `< STLS\r\n`, "> -ERR no\r\n", "wait"}, `the server answered "-ERR no", want "+OK"`},
		"starttls ftp":               {"starttls = \"ftp\"\n" + trust, []string{"> 220-hi\r\n  more\r\n220 there\r\n", `< AUTH TLS\r\n`, "> 234 go\r\n", "tls", "wait"}, ""},
		"starttls ftp refused":       {"starttls = \"ftp\"\n" + trust, []string{"> 220 hi\r\n", `< AUTH TLS\r\n`, "> 502 no\r\n", "wait"}, `the server answered "502 no", want "234"`},
		"starttls postgres":          {"starttls = \"postgres\"\n" + trust, []string{`< \x00\x00\x00\x08\x04\xd2\x16\x2f`, "> S", "tls", "wait"}, ""},
		"starttls postgres refused":  {"starttls = \"postgres\"\n" + trust, []string{`< \x00\x00\x00\x08\x04\xd2\x16\x2f`, "> N", "wait"}, "the server does not offer it"},
		"starttls postgres, injects": {"starttls = \"postgres\"\n" + trust, []string{`< \x00\x00\x00\x08\x04\xd2\x16\x2f`, "> SR", "wait"}, "bytes came unasked"},
		"starttls postgres, other":   {"starttls = \"postgres\"\n" + trust, []string{"> HTTP/1.1 400 Bad Request\r\n", "wait"}, `the answer is not one of PostgreSQL: "HTTP/1.1 400 Bad Request"`},
		"plain text on TLS":          {trust, []string{"> HTTP/1.1 400 Bad Request\r\n\r\n", "wait"}, "tls handshake: "},
		"colours":                    {`expect = "ok"`, []string{`> \x1b[31mred\r\n`}, "received \"[31mred\" before"},
		"nothing but NULs":           {`expect = "ok"`, []string{`> \x00\x00\x00`}, "before the connection was closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := run(t, tcpProbeOf(t, dialogue(t, cert, c.server...), c.keys), 8*time.Second)
			got := r.Detail
			if err != nil {
				got = err.Error()
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(got, c.want) {
				t.Errorf("%q, error %v, want %q", r.Detail, err, c.want)
			}
			if strings.ContainsAny(got, "\n\x1b\x00") || strings.Contains(got, "canary") || len(got) > maxReason {
				t.Errorf("%q is not fit to be shown", got)
			}
		})
	}
}

// smtpWithTLS is a mail server that answers STARTTLS so.
func smtpWithTLS(answer string) []string {
	lines := []string{"> 220 hi\r\n", `< EHLO localhost\r\n`, "> 250-hi\r\n250-SIZE 1\r\n250 STARTTLS\r\n", `< STARTTLS\r\n`, "> " + answer + "\r\n"}
	if answer != "220 go" {
		return append(lines, "wait")
	}
	return append(lines, "tls")
}

// Faults: P2.
func TestStartTLSOfPostgreSQLTellsTheCertificate(t *testing.T) {
	db := postgreSQL(t)
	_, rest, _ := strings.Cut(db.dsn, "127.0.0.1:")
	port, _, _ := strings.Cut(rest, "/")
	p := tcpProbeOf(t, "localhost:"+port, `starttls = "postgres"`, `measure = "cert_days"`, fmt.Sprintf("tls = { ca_file = %q }", db.ca))
	if r := ok(t, p); r.Value <= 0 || r.Value > 1 {
		t.Errorf("%v days, want those of a certificate of an hour", r.Value)
	}
}

// Faults: P4.
func TestTCPProbesReachSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	testkit.ServeListener(t, l, func(c net.Conn) {
		_, _ = io.WriteString(c, "220 hi\r\n")
		_ = c.Close()
	})
	ok(t, build(t, "tcp", fmt.Sprintf("unix = %q\nexpect = \"^220\"", path), Env{}))
	refused(t, "tcp", fmt.Sprintf("unix = %q", path), Env{Restricted: true})
}

// Faults: P2.
func TestTCPStepsAreChecked(t *testing.T) {
	keys := func(more string) string { return "address = \"h:1\"\n" + more }
	refusedWith(t, "tcp", map[string]string{
		keys(`steps = [{}]`): "steps: step 1: give expect, expect_not or send",
		keys(`steps = [{ expect = "a" }, { expect = "(" }]`):      "steps: step 2: expect: ",
		keys("expect = \"a\"\nsteps = [{ expect = \"b\" }]"):      "steps: give either steps, or send, expect and expect_not",
		keys(`steps = [{ expct = "a" }]`):                         "unknown key",
		keys(`steps = "a"`):                                       "steps",
		keys(`starttls = "ldap"`):                                 `starttls: "ldap" is unknown; known are ftp, imap, pop3, postgres, smtp`,
		keys(`expect_not = "("`):                                  "expect_not: ",
		keys("unix = \"/s\""):                                     "give only one of address and unix",
		keys("measure = \"cert_days\""):                           "needs a table tls, or starttls",
		keys("starttls = \"smtp\"\ntls = { cert_file = \"/c\" }"): "cert_file",
	})
}

// Faults: C05.
func TestCertDaysAreThoseOfTheVerifiedChain(t *testing.T) {
	now := time.Now()
	in := func(days int) *x509.Certificate {
		return &x509.Certificate{NotAfter: now.Add(time.Duration(days) * 24 * time.Hour)}
	}
	leaf, middle, root, crossed := in(199), in(300), in(3000), in(-1)
	for name, c := range map[string]struct {
		state tls.ConnectionState
		want  float64
	}{
		"expired root beside it": {tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf, middle, crossed}, VerifiedChains: [][]*x509.Certificate{{leaf, middle, root}}}, 199},
		"an intermediate ends":   {tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf, in(5), root}}}, 5},
		"the root ends":          {tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf, middle, in(7)}}}, 7},
		"two chains":             {tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf, in(5), root}, {leaf, middle, root}}}, 199},
		"nothing was verified":   {tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf, in(20)}}, 20},
		"expired, not verified":  {tls.ConnectionState{PeerCertificates: []*x509.Certificate{crossed}}, -1},
	} {
		if got := daysLeft(c.state, now); got != c.want {
			t.Errorf("%s: %v days, want %v", name, got, c.want)
		}
	}
}

func TestCancelledConversationDoesNotWaitForQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		defer ours.Close()
		stopping := errors.New("stopping")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer bindDeadline(ctx, ours)()
		cancel(stopping)
		synctest.Wait()
		rule, err := newReplyRule("", "error")
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		talk := &conversation{conn: ours, watch: startStopwatch()}
		err = withCause(ctx, talk.await(ctx, step{rule: rule}))
		if took := time.Since(begin); !errors.Is(err, stopping) || took != 0 {
			t.Errorf("%v after %v, want the cause at once", err, took)
		}
	})
}
