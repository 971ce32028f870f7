package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/microhq/monitor-srv/access"
)

// hosts are the accepted host names. A page of another site whose name resolves to our
// address (DNS rebinding) sends its own name as Host and is rejected.
type hosts struct{ names map[string]bool }

// newHosts returns the hosts of a service that listens at address, with the extra
// names.
func newHosts(address string, extra []string) (hosts, error) {
	h := hosts{names: map[string]bool{"localhost": true}}
	if name, ok := access.HostOf(address); ok {
		h.names[name] = true
	}
	for _, text := range extra {
		name, ok := access.HostOf(text)
		if ip, err := netip.ParseAddr(text); err == nil {
			name, ok = ip.String(), true
		}
		if !ok {
			return h, fmt.Errorf("%q is neither a host name nor an address", text)
		}
		h.names[name] = true
	}
	return h, nil
}

// allow reports whether the Host of a request is accepted. An address is accepted if
// the client is connected to it or if it is a loopback address. Orchestrators probe by
// some address, which no page can rebind, so /healthz and /readyz accept any address.
func (h hosts) allow(r *http.Request) bool {
	name, ok := access.HostOf(r.Host)
	if !ok {
		return false
	}
	if h.names[name] {
		return true
	}
	ip, err := netip.ParseAddr(name)
	if err != nil {
		return false
	}
	if ip.IsLoopback() || r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	return err == nil && ip.Unmap() == at.Addr().Unmap().WithZone("")
}
