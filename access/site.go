package access

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Site holds the headers of a call that browsers use to say where it came from.
type Site struct {
	// Host is the server that the caller addressed, as "host" or "host:port".
	Host string
	// Origin and FetchSite are the headers Origin and Sec-Fetch-Site, which only
	// browsers send.
	Origin, FetchSite string
}

// CheckSite returns an ErrForbidden if a change may come from a web page in a browser.
// It applies if there are no tokens, because a page has no token. A page of another
// site sends its Origin. With DNS rebinding, it sends its own name as Host.
func (p Policy) CheckSite(s Site) error {
	if p.Tokens != nil {
		return nil
	}
	if s.Origin != "" || s.FetchSite != "" && s.FetchSite != "none" {
		return forbid("without a token file (--token_file FILE) web pages may not make changes: the call has the header Origin or Sec-Fetch-Site")
	}
	if s.Host != "" && !p.ownHost(s.Host) {
		return forbid("this service is not known as %.100q: use localhost or an address, or allow the name (--http_host)", s.Host)
	}
	return nil
}

func (p Policy) ownHost(text string) bool {
	name, ok := HostOf(text)
	if !ok {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" {
		return true
	}
	return slices.ContainsFunc(p.Hosts, func(own string) bool {
		known, ok := HostOf(own)
		return ok && known == name
	})
}

// maxHost is the length of the longest DNS name.
const maxHost = 255

// HostOf returns the host of "host", "host:port", "[IPv6]" or "[IPv6]:port" in lower
// case. Addresses are normalized by netip.
func HostOf(text string) (string, bool) {
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
	// Brackets are for hosts with colons only.
	if strings.HasPrefix(text, "[") != strings.Contains(host, ":") {
		return "", false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), true
	}
	return strings.ToLower(host), true
}
