package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// dialFunc opens a connection, as net.Dialer.DialContext does.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialer returns the function by which a probe opens connections.
func (e Env) dialer() dialFunc {
	if e.Restricted {
		return e.guardedDialer(nil).DialContext
	}
	if e.Dial != nil {
		return e.Dial
	}
	return plainDial
}

// plainDial creates a dialer for each connection, so that a probe holds none in
// between.
func plainDial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{KeepAlive: -1}).DialContext(ctx, network, address)
}

// guardedDialer returns a dialer that checks each address right before it connects,
// after the name was resolved. A check at registration would not be enough: a name
// may resolve to another address later.
func (e Env) guardedDialer(r *net.Resolver) *net.Dialer {
	return &net.Dialer{
		KeepAlive: -1,
		Resolver:  r,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			target, err := netip.ParseAddrPort(address)
			if err != nil {
				return errors.New("refused to connect: not an address and a port")
			}
			return e.checkTarget(target.Addr())
		},
	}
}

// checkTarget refuses addresses that a restricted probe may not reach.
func (e Env) checkTarget(addr netip.Addr) error { return e.checkTargetOn(net.InterfaceAddrs, addr) }

// checkTargetOn is checkTarget for a host with the addresses of interfaces.
func (e Env) checkTargetOn(interfaces func() ([]net.Addr, error), addr netip.Addr) error {
	if !e.Restricted {
		return nil
	}
	plain := addr.Unmap().WithZone("")
	allowed := func(p netip.Prefix) bool { return p.Contains(plain) }
	if slices.ContainsFunc(e.AllowTargets, allowed) {
		return nil
	}
	if !public(plain) {
		return errors.New("refused to connect: a probe registered with the role of an operator reaches public addresses only")
	}
	if ownAddress(interfaces, plain) {
		return errors.New("refused to connect: it is an address of the service's own host")
	}
	return nil
}

// public reports whether an address belongs to the public internet. An address with
// an embedded IPv4 address is as public as that one.
func public(addr netip.Addr) bool {
	inside := func(p netip.Prefix) bool { return p.Contains(addr) }
	if addr.Is4() {
		return !slices.ContainsFunc(privateIPv4(), inside)
	}
	if inner, ok := embedded(addr); ok {
		return public(inner)
	}
	// Only 2000::/3 is allocated.
	return netip.MustParsePrefix("2000::/3").Contains(addr) && !slices.ContainsFunc(privateIPv6(), inside)
}

// privateIPv4 returns the networks that are not globally reachable, from IANA's
// registry of special-purpose addresses, and multicast and reserved ones.
func privateIPv4() []netip.Prefix {
	return prefixes(
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
		"172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	)
}

// privateIPv6 returns those within 2000::/3.
func privateIPv6() []netip.Prefix {
	return prefixes("2001::/23", "2001:db8::/32", "3fff::/20")
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		list[i] = netip.MustParsePrefix(t)
	}
	return list
}

// embedded returns the IPv4 address that a gateway would extract from an IPv6
// address: NAT64 (64:ff9b::/96), 6to4 (2002::/16), mapped and compatible addresses.
func embedded(addr netip.Addr) (netip.Addr, bool) {
	b := addr.As16()
	switch {
	case addr.Is4In6(),
		netip.MustParsePrefix("64:ff9b::/96").Contains(addr),
		netip.MustParsePrefix("::/96").Contains(addr):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case netip.MustParsePrefix("2002::/16").Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// ownAddress reports whether an interface of this host has the address, or its
// embedded IPv4 address. If the interfaces cannot be listed, it reports true.
func ownAddress(interfaces func() ([]net.Addr, error), addr netip.Addr) bool {
	same := []netip.Addr{addr}
	if inner, ok := embedded(addr); addr.Is6() && ok {
		same = append(same, inner)
	}
	own, err := interfaces()
	if err != nil {
		return true
	}
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && slices.Contains(same, prefix.Addr().Unmap().WithZone(""))
	})
}
