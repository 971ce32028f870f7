package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

func TestTargetAddr(t *testing.T) {
	good := []string{
		"127.0.0.1:80", "[::1]:443", "example.org:1", "example.org.:65535", "a:1", "xn--bcher-kva.example:80",
		"my_host.local:22", "[fe80::1%eth0]:80", "bücher.example:80", "_a.bücher.example:80", "3com.com:80", "[::ffff:1.2.3.4]:80",
	}
	for _, a := range good {
		if _, _, err := TargetAddr(a); err != nil {
			t.Errorf("TargetAddr(%q): %v", a, err)
		}
	}
	bad := []string{
		"", ":80", "host", "host:", "host:0", "host:65536", "host:http", "host:-1", "host:080", "2130706433:80", "0x7f000001:80",
		"0x7f.1:80", "0177.0.0.1:80", "127.1:80", "127.0.0.1.:80", "1.2.3.4.5:80", "256.1.1.1:80", "ho st:80", "host..name:80",
		"user@host:80", "host/path:80", "[::1]", "::1:80", "[1.2.3.4]:80:80", "h\x00st:80", "①②⑦.0.0.①:80", "127.0.0.１:80", "a.\u2460:80", "b\u202ea.example:80", "example.0x:80",
		strings.Repeat("a", 64) + ".org:80", strings.Repeat("a.", 130) + "org:80",
	}
	for _, a := range bad {
		if host, port, err := TargetAddr(a); err == nil {
			t.Errorf("TargetAddr(%q) = %q, %q, want an error", a, host, port)
		}
	}
}

// Faults: C07.
func TestInternationalNamesAreConnectedToInTheirASCIIForm(t *testing.T) {
	for address, want := range map[string]string{
		"bücher.example:80": "xn--bcher-kva.example", "BÜCHER.Example:80": "xn--bcher-kva.Example",
		"_x.bücher.example.:80": "_x.xn--bcher-kva.example.", "例え。テスト:80": "xn--r8jz45g.xn--zckzah",
	} {
		if host, _, err := TargetAddr(address); err != nil || host != want {
			t.Errorf("TargetAddr(%q) = %q, %v, want %q", address, host, err, want)
		}
	}
	for kind, keys := range map[string]string{
		"tcp": `address = "bücher.invalid:1"`, "grpc": `address = "bücher.invalid:1"`, "redis": `address = "bücher.invalid:1"`,
		"ping": `host = "bücher.invalid"`, "http": `url = "http://bücher.invalid/"`,
		"mysql": `dsn = "user@tcp(bücher.invalid:1)/db"`, "postgres": `dsn = "postgres://user@bücher.invalid:1/db?sslmode=verify-full"`,
	} {
		t.Run(kind, func(t *testing.T) {
			_, err := fails(t, build(t, kind, keys, Env{}), "xn--bcher-kva.invalid")
			t.Log(err)
		})
	}
}

// Faults: S12.
func TestLoginsInAddressesAreNotShown(t *testing.T) {
	for _, c := range []struct{ kind, keys string }{
		{"tcp", `address = "tcp://u:canary@h:1"`}, {"tcp", `address = "u:canary@h"`}, {"tcp", `unix = "redis://u:canary@h"`},
		{"udp", "send = \"x\"\naddress = \"u:canary@h:1\""}, {"grpc", `address = "https://u:canary@h:1"`},
		{"redis", `address = "redis://:canary@h"`}, {"redis", `address = ":canary@h:6379"`},
		{"ping", `host = "u:canary@h"`}, {"dns", "name = \"a.example\"\nserver = \"u:canary@h\""}, {"dns", "name = \"a.example\"\nserver = \"dns://u:canary@h:53\""},
		{"mysql", `dsn = "u:p@tcp(u:canary@h)/db"`}, {"mysql", `dsn = "u:p@tcp(canary@h:1)/db"`}, {"postgres", `dsn = "host=u:canary@h user=u"`},
	} {
		_, err := New(Builtin(), c.kind, decodeTOML(c.keys), Env{})
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s, %s: error %v, want one without the password", c.kind, c.keys, err)
		}
	}
}

// Faults: T72.
func TestSSRFCorpusIsDenied(t *testing.T) {
	env := Env{Restricted: true}
	denied := []string{
		"0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1",
		"239.255.255.250", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "fe80::1", "febf::1",
		"fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "3fff::1", "100::1", "fe80::1%eth0", "4000::1",
	}
	for _, a := range denied {
		if err := env.checkTarget(netip.MustParseAddr(a)); err == nil {
			t.Errorf("%s may be reached", a)
		}
	}
	for _, a := range []string{"1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"} {
		if err := env.checkTarget(netip.MustParseAddr(a)); err != nil {
			t.Errorf("%s may not be reached: %v", a, err)
		}
	}
	env.AllowTargets = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, a := range []string{"10.1.2.3", "::ffff:10.1.2.3", "fd00::5"} {
		if err := env.checkTarget(netip.MustParseAddr(a)); err != nil {
			t.Errorf("%s may not be reached although it is allowed: %v", a, err)
		}
	}
	if err := env.checkTarget(netip.MustParseAddr("192.168.0.1")); err == nil {
		t.Error("192.168.0.1 may be reached, only 10.0.0.0/8 is allowed")
	}
}

// Faults: T72.
func TestOwnAddressesAreDenied(t *testing.T) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		prefix := netip.MustParsePrefix(a.String())
		if a := prefix.Addr(); a.Is4() {
			b := a.As4()
			for _, text := range []string{"64:ff9b::%02x%02x:%02x%02x", "2002:%02x%02x:%02x%02x::1", "::ffff:%02x%02x:%02x%02x"} {
				carrier := netip.MustParseAddr(fmt.Sprintf(text, b[0], b[1], b[2], b[3]))
				if !ownAddress(net.InterfaceAddrs, carrier) {
					t.Errorf("%v carries %v and is not taken for our own", carrier, a)
				}
			}
		}
		if !ownAddress(net.InterfaceAddrs, prefix.Addr()) {
			t.Errorf("%v is not seen as an own address", a)
		}
	}
	if ownAddress(net.InterfaceAddrs, netip.MustParseAddr("1.1.1.1")) {
		t.Error("1.1.1.1 is seen as an own address")
	}
}

// canary counts the connections to a port of the loopback.
func canary(t *testing.T) (port string, accepted *atomic.Int32) {
	t.Helper()
	accepted = new(atomic.Int32)
	_, port, err := net.SplitHostPort(testkit.ServeConns(t, func(net.Conn) { accepted.Add(1) }))
	if err != nil {
		t.Fatal(err)
	}
	return port, accepted
}

// TestNoRestrictedProbeReachesTheLoopback points every kind that an operator may
// register at a listener on the loopback, in all spellings, and counts the
// connections.
// Faults: T72.
func TestNoRestrictedProbeReachesTheLoopback(t *testing.T) {
	port, accepted := canary(t)
	env := Env{Restricted: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("a restricted probe used the plain way to dial")
		return nil, net.ErrClosed
	}}
	hosts := []string{
		"127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]",
		"[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[::127.0.0.1]", "localhost", "localhost.", "0.0.0.0", "[::]", "0", "127.0.0.1.",
		"user@127.0.0.1", "1.1.1.1@127.0.0.1", "\u2460\u2461\u2466.0.0.1",
	}
	for _, host := range hosts {
		for kind, text := range map[string]string{
			"http": "url = " + strconv.Quote("http://"+host+":"+port+"/"),
			"tcp":  "address = " + strconv.Quote(host+":"+port),
			"grpc": "address = " + strconv.Quote(host+":"+port),
			"dns":  "name = \"a.example\"\nserver = " + strconv.Quote(host+":"+port),
			"ping": "count = 1\nhost = " + strconv.Quote(strings.Trim(host, "[]")),
		} {
			p, err := New(Builtin(), kind, decodeTOML(text), env)
			if err != nil {
				continue // refused before it was tried
			}
			if r, err := run(t, p, time.Second); err == nil {
				t.Errorf("%s of %s succeeded: %+v", kind, host, r)
			}
			p.Close()
		}
	}
	if n := accepted.Load(); n > 0 {
		t.Errorf("the canary accepted %d connections, want none", n)
	}
}

// TestRebindingIsDenied resolves a name to a public address first and to the
// loopback afterwards.
// Faults: T72.
func TestRebindingIsDenied(t *testing.T) {
	port, accepted := canary(t)
	server := fakeDNS(t, answerA("127.0.0.1"))
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := Env{Restricted: true}.guardedDialer(resolver).DialContext(ctx, "tcp", "rebound.example.:"+port)
	if err == nil {
		conn.Close()
		t.Fatal("connected to a name that means the loopback")
	}
	if !strings.Contains(err.Error(), "refused to connect: ") {
		t.Errorf("error %q, want the refusal", err)
	}
	if n := accepted.Load(); n > 0 {
		t.Errorf("the canary accepted %d connections, want none", n)
	}
	allowed := Env{Restricted: true, AllowTargets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	conn, err = allowed.guardedDialer(resolver).DialContext(ctx, "tcp", "rebound.example.:"+port)
	if err != nil {
		t.Fatalf("an allowed target: %v", err)
	}
	conn.Close()
}

func TestRestrictedTellsNoAddress(t *testing.T) {
	for kind, text := range map[string]string{
		"http": `url = "http://localhost:1/"`, "tcp": `address = "localhost:1"`, "grpc": `address = "localhost:1"`,
		"ping": `host = "localhost"`, "dns": "name = \"a\"\nserver = \"localhost\"",
	} {
		_, err := fails(t, build(t, kind, text, Env{Restricted: true}), "refused to connect: ")
		if strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "::1") {
			t.Errorf("%s: %q tells what the name means here", kind, err)
		}
	}
	_, err := fails(t, build(t, "tcp", `address = "no-such-host.invalid:1"`, Env{Restricted: true}), "looking up the name: no such host")
	if strings.Contains(err.Error(), ":53") {
		t.Errorf("%q tells which server was asked", err)
	}
}

func TestRestrictedKindsAndKeys(t *testing.T) {
	env := Env{Restricted: true}
	for kind, text := range map[string]string{
		"exec":     `command = "true"`,
		"mysql":    "dsn = \"u:p@tcp(h:1)/d\"\nquery = \"SELECT 1\"",
		"postgres": "dsn = \"postgres://h/d\"\nquery = \"SELECT 1\"",
		"redis":    `address = "h:1"`,
		"rpc":      "service = \"s\"\nendpoint = \"e\"",
		"event":    "service = \"s\"\ncheck = \"c\"",
		"stats":    "service = \"s\"\nmetric = \"count\"",
	} {
		if err := refused(t, kind, text, env); !strings.Contains(err.Error(), "role of an operator") {
			t.Errorf("%s: error %q, want one that names the role", kind, err)
		}
	}
	for _, text := range []string{
		`proxy = "http://p:1"`, `password_file = "/etc/shadow"`, `password_env = "TOKEN"`, `bearer_file = "/etc/shadow"`,
		`bearer_env = "TOKEN"`, `follow_redirects = true`, `unix = "/run/x.sock"`, `url_file = "/etc/shadow"`, `url_env = "TOKEN"`, `tls = { ca_file = "/x" }`, `tls = { cert_file = "/x", key_file = "/x" }`,
	} {
		if err := refused(t, "http", "url = \"https://example.org/\"\n"+text, env); !strings.Contains(err.Error(), "role of an operator") {
			t.Errorf("%s: error %q, want one that names the role", text, err)
		}
	}
	for _, kind := range []string{"tcp", "grpc"} {
		refused(t, kind, "address = \"example.org:1\"\ntls = { ca_file = \"/etc/passwd\" }", env)
	}
	refused(t, "dns", `name = "example.org"`, env)
}

func TestUnknownTypeListsTheKnown(t *testing.T) {
	err := refused(t, "htp", "", Env{})
	want := `unknown type of probe "htp"; known are dns, event, exec, grpc, http, mysql, ping, postgres, redis, rpc, stats, tcp, udp`
	if err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

// inetAton parses an address as the C library does, which accepts one to four
// decimal, octal or hexadecimal parts.
func inetAton(host string) bool {
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return false
	}
	for _, p := range parts {
		if p == "" || p[0] < '0' || p[0] > '9' {
			return false
		}
		if strings.ContainsAny(p, "_+-") {
			return false
		}
		low := strings.ToLower(p)
		if low == "0x" {
			continue
		}
		base := 10
		if strings.HasPrefix(low, "0x") {
			low, base = low[2:], 16
		}
		if strings.Trim(low, "0123456789abcdef") != "" {
			return false
		}
		if _, err := strconv.ParseUint(low, max(base, 10), 64); err != nil && !strings.Contains(err.Error(), "range") {
			return false
		}
	}
	return true
}

// Faults: T72.
func FuzzTargetAddr(f *testing.F) {
	for _, s := range []string{
		"127.0.0.1:80", "[::1]:80", "host:80", "2130706433:80", "0x7f.1:80", "[fe80::1%lo]:80", "127.0.0.1.:80", "[::ffff:127.0.0.1]:1",
		"017700000001:80", "a.b.c:80", "1.1.1.1:53", "[64:ff9b::7f00:1]:80", "0:80", "0x:80", "1e3:80", "[::ffff:0x7f.1]:80",
	} {
		f.Add(s)
	}
	env := Env{Restricted: true}
	f.Fuzz(func(t *testing.T, text string) {
		host, port, err := TargetAddr(text)
		if err != nil {
			return
		}
		joined := net.JoinHostPort(host, port)
		again, againPort, err := TargetAddr(joined)
		if err != nil || again != host || againPort != port {
			t.Fatalf("TargetAddr(%q) = %q, %q, and of %q %q, %q, %v", text, host, port, joined, again, againPort, err)
		}
		addr, err := netip.ParseAddr(host)
		if err != nil {
			// A name: no resolver may take it for an address.
			if inetAton(strings.TrimSuffix(host, ".")) {
				t.Fatalf("%q is accepted as a name, but a resolver takes it for an address", host)
			}
			return
		}
		// An address: the resolver must reach the same class of address.
		if addr.Zone() != "" {
			return
		}
		resolved, err := net.ResolveTCPAddr("tcp", joined)
		if err != nil {
			t.Fatalf("%q is accepted, but does not resolve: %v", joined, err)
		}
		reached, fine := netip.AddrFromSlice(resolved.IP)
		if !fine {
			t.Fatalf("%q resolves to %v", joined, resolved.IP)
		}
		if (env.checkTarget(addr) == nil) != (env.checkTarget(reached) == nil) {
			t.Fatalf("the guard judges %v and %v differently", addr, reached)
		}
	})
}
