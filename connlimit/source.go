package connlimit

import (
	"net"
	"net/netip"
)

// ipv6PrefixBits is the smallest network that an IPv6 customer is assigned.
const ipv6PrefixBits = 64

// Source returns what a client at "IP:port" counts as: its IP, or the /64 network for
// IPv6. Clients without a valid address share the zero one.
func Source(remote string) netip.Addr {
	a := IP(remote)
	if a.Is4() || !a.IsValid() {
		return a
	}
	p, err := a.Prefix(ipv6PrefixBits)
	if err != nil {
		return a
	}
	return p.Addr()
}

// IP returns the IP of "IP:port" or "IP", or the zero address.
func IP(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
