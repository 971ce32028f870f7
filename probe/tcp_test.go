package probe

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// mailServer is as much of an SMTP server as a probe needs.
func mailServer(tb testing.TB) string {
	tb.Helper()
	return testkit.ServeConns(tb, func(c net.Conn) {
		io.WriteString(c, "220 mail.example ESMTP\r\n")
		br := bufio.NewReader(c)
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			if strings.HasPrefix(line, "QUIT") {
				io.WriteString(c, "221 bye\r\n")
				return
			}
			io.WriteString(c, "250 ok\r\n")
		}
	})
}

func tcpProbeOf(tb testing.TB, address string, keys ...string) Probe {
	return probeAt(tb, "tcp", address, keys)
}

func TestTCPConversation(t *testing.T) {
	mail := mailServer(t)
	r := ok(t, tcpProbeOf(t, mail))
	if r.Value != 0 || !strings.Contains(r.Detail, mail) {
		t.Errorf("%+v, want 0 and the address", r)
	}
	ok(t, tcpProbeOf(t, mail, `expect = "^220 "`))
	ok(t, tcpProbeOf(t, mail, `send = "EHLO me\r\nQUIT\r\n"`, `expect = "221 bye"`))
	fails(t, tcpProbeOf(t, mail, `send = "QUIT\r\n"`, `expect = "554"`), `received "220 mail.example ESMTP" before the connection was closed, want "554"`)
	err := timesOut(t, tcpProbeOf(t, mail, `expect = "554"`))
	if !strings.Contains(err.Error(), `received "220 mail.example ESMTP", want "554"`) {
		t.Errorf("error %q, want what was received", err)
	}
	r = ok(t, tcpProbeOf(t, mail, `expect = "^220 "`, `measure = "latency"`))
	if r.Value <= 0 || r.Value > 5 || len(r.Phases) == 0 || r.Phases[0].Name != "connect" {
		t.Errorf("latency %v, phases %v", r.Value, r.Phases)
	}
	fails(t, tcpProbeOf(t, testkit.FreeAddress(t)), "connection refused")
}

func TestTCPWithTLS(t *testing.T) {
	cert, ca := testkit.SelfSigned(t, time.Now().Add(30*24*time.Hour))
	l := tls.NewListener(testkit.Listen(t), &tls.Config{Certificates: []tls.Certificate{cert}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "hello\n")
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	trust := fmt.Sprintf("tls = { ca_file = %q }", ca)
	r := ok(t, tcpProbeOf(t, l.Addr().String(), trust, `expect = "hello"`, `measure = "cert_days"`))
	if math.Abs(r.Value-30) > 0.01 {
		t.Errorf("%v days, want 30", r.Value)
	}
	fails(t, tcpProbeOf(t, l.Addr().String(), "tls = {}"), "certificate")
	fails(t, tcpProbeOf(t, l.Addr().String(), fmt.Sprintf("tls = { ca_file = %q, server_name = \"other.example\" }", ca)), "certificate")
}

// Faults: T36.
func TestTCPProbesSurviveHostileServers(t *testing.T) {
	silence := testkit.SilentServer(t)
	timesOut(t, tcpProbeOf(t, silence, `expect = "x"`))
	timesOut(t, tcpProbeOf(t, silence, "tls = {}"))
	endless := testkit.ServeConns(t, func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, strings.Repeat("y", 4096)); err != nil {
				return
			}
		}
	})
	before := rss(t)
	fails(t, tcpProbeOf(t, endless, `expect = "x"`), `the first 64 KiB do not match expect "x"`)
	if grown := rss(t) - before; grown > 8*raceFactor<<20 {
		t.Errorf("RSS grew by %d MiB", grown>>20)
	}
}

func TestTCPTellsNoSecret(t *testing.T) {
	address := testkit.ServeConns(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, len("canary-sent")))
		io.WriteString(c, "canary-reply\n")
	})
	env := Env{Restricted: true, AllowTargets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	p := build(t, "tcp", "address = "+strconv.Quote(address)+"\nexpect = \"zz\"\nsend = \"canary-sent\"", env)
	r, err := fails(t, p, "want \"zz\"")
	if strings.Contains(err.Error()+r.Detail, "canary") {
		t.Errorf("%q or %q tells a secret", err, r.Detail)
	}
}

func TestTCPKeysAreChecked(t *testing.T) {
	refusedWith(t, "tcp", map[string]string{
		"":                                   "address: this key is required",
		`address = "h"`:                      "want host:port",
		"address = \"h:1\"\nexpect = \"(\"":  "expect: ",
		"address = \"h:1\"\nmeasure = \"x\"": `measure: "x" is unknown`,
		"address = \"h:1\"\nmeasure = \"cert_days\"": "needs a table tls",
		"address = \"h:1\"\nadress = \"h:1\"":        "unknown key",
	})
}
