package probe

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// hostWith returns the interfaces of a host in the given networks.
func hostWith(tb testing.TB, networks ...string) func() ([]net.Addr, error) {
	tb.Helper()
	var addrs []net.Addr
	for _, text := range networks {
		ip, network, err := net.ParseCIDR(text)
		if err != nil {
			tb.Fatal(err)
		}
		addrs = append(addrs, &net.IPNet{IP: ip, Mask: network.Mask})
	}
	return func() ([]net.Addr, error) { return addrs, nil }
}

// Operators must not probe the service's own host, even on a public address: what
// listens there may trust local connections.
func TestRestrictedProbeMayNotReachAPublicAddressOfItsHost(t *testing.T) {
	interfaces := hostWith(t, "127.0.0.1/8", "93.184.216.34/24", "2606:4700::99/64")
	env := Env{Restricted: true}
	for _, own := range []string{
		"93.184.216.34", "::ffff:93.184.216.34", "::93.184.216.34", "64:ff9b::93.184.216.34", "2002:5db8:d822::1",
		"2606:4700::99", "2606:4700::99%eth0",
	} {
		err := env.checkTargetOn(interfaces, netip.MustParseAddr(own))
		if err == nil || !strings.Contains(err.Error(), "own host") {
			t.Errorf("%s: error %v, want the refusal of an address of the host", own, err)
		}
	}
	for _, other := range []string{"93.184.216.35", "2606:4700::98", "1.1.1.1"} {
		if err := env.checkTargetOn(interfaces, netip.MustParseAddr(other)); err != nil {
			t.Errorf("%s may not be reached, and it is not the host's: %v", other, err)
		}
	}
	env.AllowTargets = []netip.Prefix{netip.MustParsePrefix("93.184.216.0/24")}
	if err := env.checkTargetOn(interfaces, netip.MustParseAddr("93.184.216.34")); err != nil {
		t.Errorf("an address of the host that is allowed: %v", err)
	}
	if err := (Env{}).checkTargetOn(interfaces, netip.MustParseAddr("93.184.216.34")); err != nil {
		t.Errorf("a probe that is not restricted: %v", err)
	}
}

func TestRestrictedProbeReachesNothingWhileTheHostsAddressesAreUnknown(t *testing.T) {
	unknown := func() ([]net.Addr, error) { return nil, errors.New("no netlink") }
	if err := (Env{Restricted: true}).checkTargetOn(unknown, netip.MustParseAddr("1.1.1.1")); err == nil {
		t.Error("1.1.1.1 may be reached, and it may be our own")
	}
}

// TestRestrictedProbeReachesPublicNetworksUpToTheirBounds goes by the registries of
// special-purpose addresses of IANA: of each network that is not public, the first
// and the last address are refused, and what lies before and behind is not unless
// another such network follows.
func TestRestrictedProbeReachesPublicNetworksUpToTheirBounds(t *testing.T) {
	env := Env{Restricted: true}
	nowhere := hostWith(t)
	for _, n := range []struct{ before, first, last, behind string }{
		{"", "0.0.0.0", "0.255.255.255", "1.0.0.0"},
		{"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
		{"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
		{"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
		{"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
		{"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
		{"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
		{"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"},
		{"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"},
		{"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
		{"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
		{"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"},
		{"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"},
		{"223.255.255.255", "224.0.0.0", "255.255.255.255", ""},
		{"", "::", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", ""},
		{"", "64:ff9b:0:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"},
		{"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"},
		{"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
		{"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"},
		{"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
	} {
		for text, public := range map[string]bool{n.before: true, n.first: false, n.last: false, n.behind: true} {
			if text == "" {
				continue
			}
			if err := env.checkTargetOn(nowhere, netip.MustParseAddr(text)); (err == nil) != public {
				t.Errorf("%s: error %v, want it refused unless it is public, %v", text, err, public)
			}
		}
	}
}

func TestAllowedNetworkCoversAddressesWithAZone(t *testing.T) {
	env := Env{Restricted: true, AllowTargets: []netip.Prefix{netip.MustParsePrefix("fe80::/10")}}
	if err := env.checkTarget(netip.MustParseAddr("fe80::1%eth0")); err != nil {
		t.Errorf("it may not be reached although its network is allowed: %v", err)
	}
}

// A target that is not an address and a port, such as the path of a socket, cannot be
// checked.
func TestGuardedDialerRefusesWhatItCannotJudge(t *testing.T) {
	control := Env{Restricted: true}.guardedDialer(nil).ControlContext
	for _, address := range []string{"/run/docker.sock", "@abstract", "", "1.1.1.1", "example.org:80"} {
		if err := control(t.Context(), "unix", address, nil); err == nil {
			t.Errorf("%q may be reached", address)
		}
	}
	if err := control(t.Context(), "tcp4", "1.1.1.1:80", nil); err != nil {
		t.Errorf("a public address: %v", err)
	}
}
