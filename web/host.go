package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// maxHost is the length of the longest name of DNS.
const maxHost = 255

// hosts are the names the service answers to. A page of another site that has
// its own name resolve to our address (DNS rebinding) still sends its own name
// as Host, and so gets nothing.
type hosts struct{ names map[string]bool }

// newHosts returns the hosts of a service that listens at address, and is known
// as extra too.
func newHosts(address string, extra []string) (hosts, error) {
	h := hosts{names: map[string]bool{"localhost": true}}
	if name, ok := hostOf(address); ok {
		h.names[name] = true
	}
	for _, text := range extra {
		name, ok := hostOf(text)
		if ip, err := netip.ParseAddr(text); err == nil {
			name, ok = ip.String(), true
		}
		if !ok {
			return h, fmt.Errorf("%q is no name and no address of a host", text)
		}
		h.names[name] = true
	}
	return h, nil
}

// allow reports whether the Host of a request is ours. An address is ours if the
// client is connected to it, or if it is one of this machine alone. Probes of
// orchestrators know nothing but some address, which no page can rebind, so for
// the two paths they ask for, any address will do.
func (h hosts) allow(r *http.Request) bool {
	name, ok := hostOf(r.Host)
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

// hostOf returns the host of "host", "host:port", "[IPv6]" or "[IPv6]:port" in
// lower case, an address as netip writes it.
func hostOf(text string) (string, bool) {
	host := text
	if h, port, err := net.SplitHostPort(text); err == nil {
		if strings.Trim(port, "0123456789") != "" {
			return "", false
		}
		host = h
	} else if inner, ok := strings.CutPrefix(text, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return "", false
		}
	}
	if host == "" || len(host) > maxHost || strings.ContainsAny(host, "[]/\\@ ?#%") {
		return "", false
	}
	// Brackets are there for what holds colons, and for nothing else.
	if strings.HasPrefix(text, "[") != strings.Contains(host, ":") {
		return "", false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), true
	}
	return strings.ToLower(host), true
}
