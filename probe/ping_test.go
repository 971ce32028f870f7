package probe

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
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
