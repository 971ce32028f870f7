package probe

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// udpServer answers the nth packet, from 1 on, with what reply returns.
func udpServer(tb testing.TB, reply func(n int, packet string) []string) string {
	n := 0
	return testkit.ServeUDP(tb, func(packet []byte) (replies [][]byte) {
		n++
		for _, r := range reply(n, string(packet)) {
			replies = append(replies, []byte(r))
		}
		return replies
	})
}

func udpProbeOf(tb testing.TB, address string, keys ...string) Probe {
	return probeAt(tb, "udp", address, keys)
}

// Faults: P4, P1.
func TestOddUDPAnswers(t *testing.T) {
	says := func(replies ...string) func(int, string) []string {
		return func(int, string) []string { return replies }
	}
	ping := `send = "ping"` + "\n"
	for name, c := range map[string]struct {
		keys   string
		server func(n int, packet string) []string
		want   string // the detail, or behind "error: " a part of the error
	}{
		"any answer":                    {ping, says("pong\n"), "5 bytes: pong"},
		"an empty answer":               {ping, says(""), "0 bytes"},
		"as expected":                   {ping + `expect = "^pong"`, says("pong"), "4 bytes: pong"},
		"after others":                  {ping + `expect = "^pong"`, says("one", "two", "pong"), "4 bytes: pong"},
		"forbidden":                     {ping + `expect_not = "err"`, says("an err"), `error: the answer matches expect_not "err": "an err"`},
		"forbidden before the expected": {ping + "expect = \"pong\"\nexpect_not = \"err\"", says("err", "pong"), "error: the answer matches expect_not"},
		"not forbidden":                 {ping + `expect_not = "err"`, says("fine"), "4 bytes: fine"},
		"the first packet is lost":      {ping, func(n int, _ string) []string { return says("pong")(n, "")[:min(1, n-1)] }, "4 bytes: pong"},
		"two packets are lost":          {ping, func(n int, _ string) []string { return says("pong")(n, "")[:min(1, n/3)] }, "4 bytes: pong"},
		"bytes": {`send = '\x1b\x00\xff'` + "\n" + `expect = '^\x1c\xfe'`, func(_ int, packet string) []string {
			if packet == "\x1b\x00\xff" {
				return []string{"\x1c\xfe\x00"}
			}
			return nil
		}, "3 bytes"},
		"escapes that are none":   {`send = '\x1\x'`, func(_ int, packet string) []string { return []string{packet} }, `5 bytes: \x1\x`},
		"a large answer":          {ping, says(strings.Repeat("a", 60_000)), "60000 bytes: aaa"},
		"a large answer, matched": {ping + `expect = "b$"`, says(strings.Repeat("a", 60_000) + "b"), "60001 bytes: aaa"},
		"colours":                 {ping, says("\x1b[31mred\a"), "9 bytes: [31mred"},
		"NULs":                    {ping, says("\x00\x00"), "2 bytes"},
		"several lines":           {ping, says("one\ntwo"), "7 bytes: one"},
		"a secret is echoed":      {"send = \"canary-community\"\nexpect_not = \"community\"", says("no such canary-community"), `error: "no such <secret>"`},
		"the packet is echoed":    {`send = '\x01\xffcanary-"community"'`, func(_ int, packet string) []string { return []string{packet} }, "20 bytes: <secret>"},
		"and that is an error":    {`send = '\x01\xffcanary-"community"'` + "\n" + `expect_not = "community"`, func(_ int, packet string) []string { return []string{packet} }, `error: expect_not "community": "<secret>"`},
		"broken UTF-8":            {ping, says("\xc3\x28"), "2 bytes"},
		"many answers":            {ping + `expect = "x"`, says(append(make([]string, 50), "x")...), "1 bytes: x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := run(t, udpProbeOf(t, udpServer(t, c.server), c.keys), 8*time.Second)
			got := r.Detail
			if err != nil {
				got = "error: " + err.Error()
			}
			want, isError := strings.CutPrefix(c.want, "error: ")
			if isError != (err != nil) || !strings.Contains(got, want) || strings.ContainsAny(got, "\n\x1b\x00\a") || strings.Contains(got, "canary") {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	fails(t, udpProbeOf(t, testkit.FreeAddress(t), ping), "the host says that nobody listens on this port (ICMP)")
	timesOut(t, udpProbeOf(t, udpServer(t, says()), ping))
	err := timesOut(t, udpProbeOf(t, udpServer(t, says("nope")), ping, `expect = "^pong"`))
	if !strings.Contains(err.Error(), `received "nope", want "^pong"`) {
		t.Errorf("error %q, want what was received", err)
	}
}

func TestUDPMeasuresLatencyAndSendsOnceIfAnswered(t *testing.T) {
	var packets atomic.Int32
	server := udpServer(t, func(int, string) []string { packets.Add(1); return []string{"x"} })
	if r := ok(t, udpProbeOf(t, server, `send = "a"`, `measure = "latency"`)); r.Value <= 0 || r.Value > 5 {
		t.Errorf("latency %v", r.Value)
	}
	if n := packets.Load(); n != 1 {
		t.Errorf("%d packets, want 1", n)
	}
}

func TestUDPKeysAreChecked(t *testing.T) {
	keys := func(more string) string { return "address = \"h:1\"\n" + more }
	refusedWith(t, "udp", map[string]string{
		"":                                   "address: this key is required",
		keys(""):                             "send: this key is required: no server of UDP answers before it was asked",
		keys("send = \"a\"\nexpect = \"(\""): "expect: ",
		keys("send = \"a\"\nmeasure = \"cert_days\""): `measure: "cert_days" is unknown`,
		keys("send = \"a\"\ntls = {}"):                "unknown key",
	})
	if err := refused(t, "udp", keys(`send = "a"`), Env{Restricted: true}); !strings.Contains(err.Error(), "local file") {
		t.Errorf("%v, want a local file as the remedy", err)
	}
}
