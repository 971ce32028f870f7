package probe

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// TestPing needs CAP_NET_RAW, which root has, or a ping_group_range that includes
// this group.
func TestPing(t *testing.T) {
	p := build(t, "ping", `host = "127.0.0.1"`, Env{})
	begin := time.Now()
	r := ok(t, p)
	if r.Value != 0 || !strings.HasPrefix(r.Detail, "3 of 3 answers from 127.0.0.1") {
		t.Errorf("%+v, want no loss", r)
	}
	if took := time.Since(begin); took < 2*pingInterval || took > 2*pingInterval+time.Second {
		t.Errorf("took %v for 3 requests", took)
	}
	r = ok(t, build(t, "ping", "host = \"localhost\"\ncount = 1\nip = \"4\"\nmeasure = \"latency\"", Env{}))
	if r.Value <= 0 || r.Value > 1 {
		t.Errorf("latency %v", r.Value)
	}
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		ok(t, build(t, "ping", "host = \"::1\"\ncount = 1", Env{}))
	}
}

func TestPingWithoutAnswer(t *testing.T) {
	e, err := openEcho(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.answer = ipv4.ICMPTypeTimestampReply // which nobody sends
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	begin := time.Now()
	times, err := e.echoes(ctx, 2)
	if len(times) > 0 || err != nil {
		t.Errorf("%v, %v, want no answer and no error", times, err)
	}
	if took := time.Since(begin); took < 500*time.Millisecond || took > 700*time.Millisecond+slack {
		t.Errorf("took %v, want until the deadline", took)
	}
	fails(t, build(t, "ping", `host = "no-such-host.invalid"`, Env{}), "no such host")
}

func TestPingLoss(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	p := &pingProbe{config: pingConfig{Count: 4, Measure: "loss"}}
	if _, err := p.result(addr, nil); err == nil || err.Error() != "no answer from 192.0.2.1 to 4 requests" {
		t.Errorf("error %v of no answer", err)
	}
	r, err := p.result(addr, []time.Duration{time.Second, 2 * time.Second, 3 * time.Second})
	if err != nil || r.Value != 0.25 || r.Detail != "3 of 4 answers from 192.0.2.1, mean 2s" {
		t.Errorf("%+v, %v, want a quarter lost", r, err)
	}
}

func TestPingKeysAreChecked(t *testing.T) {
	refusedWith(t, "ping", map[string]string{
		"":                              "host: this key is required",
		`host = "127.1"`:                "neither a name nor an IPv4 address",
		"host = \"h\"\ncount = 0":       "count: 0 is out of range",
		"host = \"h\"\ncount = 21":      "count: 21 is out of range",
		"host = \"h\"\nip = \"7\"":      `ip: "7" is unknown`,
		"host = \"h\"\nmeasure = \"x\"": `measure: "x" is unknown`,
	})
}

func TestOddPacketsAreNoAnswersToPings(t *testing.T) {
	token := []byte("0123456789abcdef")
	v4 := &echo{request: ipv4.ICMPTypeEcho, answer: ipv4.ICMPTypeEchoReply, protocol: 1, token: token}
	v6 := &echo{request: ipv6.ICMPTypeEchoRequest, answer: ipv6.ICMPTypeEchoReply, protocol: 58, token: token}
	packet := func(kind icmp.Type, body icmp.MessageBody) []byte {
		p, err := (&icmp.Message{Type: kind, Body: body}).Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	echoed := func(seq int, data string) icmp.MessageBody { return &icmp.Echo{ID: 7, Seq: seq, Data: []byte(data)} }
	good := packet(ipv4.ICMPTypeEchoReply, echoed(3, string(token)))
	for name, c := range map[string]struct {
		by     *echo
		packet []byte
		want   int // -1: no answer
	}{
		"an answer":                 {v4, good, 3},
		"an answer of IPv6":         {v6, packet(ipv6.ICMPTypeEchoReply, echoed(4, string(token))), 4},
		"another id":                {v4, packet(ipv4.ICMPTypeEchoReply, &icmp.Echo{ID: 99, Seq: 3, Data: token}), 3}, // the kernel rewrites it
		"the largest number":        {v4, packet(ipv4.ICMPTypeEchoReply, echoed(65535, string(token))), 65535},
		"our own request":           {v4, packet(ipv4.ICMPTypeEcho, echoed(3, string(token))), -1},
		"our own request of IPv6":   {v6, packet(ipv6.ICMPTypeEchoRequest, echoed(3, string(token))), -1},
		"another token":             {v4, packet(ipv4.ICMPTypeEchoReply, echoed(3, "fedcba9876543210")), -1},
		"a shorter token":           {v4, packet(ipv4.ICMPTypeEchoReply, echoed(3, string(token[:15]))), -1},
		"a longer token":            {v4, packet(ipv4.ICMPTypeEchoReply, echoed(3, string(token)+"x")), -1},
		"no token":                  {v4, packet(ipv4.ICMPTypeEchoReply, echoed(3, "")), -1},
		"a timestamp":               {v4, packet(ipv4.ICMPTypeTimestampReply, echoed(3, string(token))), -1},
		"unreachable":               {v4, packet(ipv4.ICMPTypeDestinationUnreachable, &icmp.DstUnreach{Data: good}), -1},
		"too long on the way":       {v4, packet(ipv4.ICMPTypeTimeExceeded, &icmp.TimeExceeded{Data: good}), -1},
		"unreachable, IPv6":         {v6, packet(ipv6.ICMPTypeDestinationUnreachable, &icmp.DstUnreach{Data: good}), -1},
		"too big, IPv6":             {v6, packet(ipv6.ICMPTypePacketTooBig, &icmp.PacketTooBig{MTU: 1280, Data: good}), -1},
		"nothing":                   {v4, nil, -1},
		"one byte":                  {v4, good[:1], -1},
		"half a header":             {v4, good[:4], -1},
		"a header":                  {v4, good[:8], -1},
		"cut off":                   {v4, good[:len(good)-1], -1},
		"of the other version":      {v6, good, -1},
		"of the other version, too": {v4, packet(ipv6.ICMPTypeEchoReply, echoed(4, string(token))), -1},
		"a type of tomorrow":        {v4, append([]byte{200}, good[1:]...), -1},
		"bytes without end":         {v4, append(slices.Clone(good), make([]byte, 1400)...), -1},
		"letters":                   {v4, []byte("HTTP/1.1 400 Bad Request\r\n"), -1},
	} {
		seq, ok := c.by.read(c.packet)
		if ok != (c.want >= 0) || ok && seq != c.want {
			t.Errorf("%s: %d, %v, want %d", name, seq, ok, c.want)
		}
	}
}
