package access

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// Faults: T70.
func TestWebPagesChangeNothingWithoutTokens(t *testing.T) {
	open := Policy{Insecure: true, Hosts: []string{"Mon.example", "rpc.example:9000", ":0", "", "[::]:0"}}
	closed := Policy{Tokens: load(t)}
	for _, c := range []struct {
		site Site
		ok   bool
	}{
		{Site{}, true},
		{Site{Host: "127.0.0.1:9000"}, true},
		{Site{Host: "192.0.2.7:9000"}, true},
		{Site{Host: "[2001:db8::1]:9000"}, true},
		{Site{Host: "[::1]"}, true},
		{Site{Host: "LocalHost:9000"}, true},
		{Site{Host: "mon.example:1"}, true},
		{Site{Host: "RPC.example"}, true},
		{Site{Host: "127.0.0.1:1", FetchSite: "none"}, true},
		{Site{Host: "evil.example"}, false},
		{Site{Host: "evil.example:9000"}, false},
		{Site{Host: "localhost.evil.example"}, false},
		{Site{Host: "127.0.0.1.evil.example:9000"}, false},
		{Site{Host: "localhost."}, false},
		{Site{Host: "2130706433"}, false},
		{Site{Host: "0x7f.1"}, false},
		{Site{Host: "localhost@evil.example"}, false},
		{Site{Host: "127.0.0.1:x"}, false},
		{Site{Host: ":0"}, false},
		{Site{Host: "127.0.0.1", Origin: "http://evil.example"}, false},
		{Site{Host: "127.0.0.1", Origin: "http://127.0.0.1"}, false},
		{Site{Host: "127.0.0.1", Origin: "null"}, false},
		{Site{Host: "127.0.0.1", FetchSite: "cross-site"}, false},
		{Site{Host: "127.0.0.1", FetchSite: "same-site"}, false},
		{Site{Host: "127.0.0.1", FetchSite: "same-origin"}, false},
		{Site{Host: "127.0.0.1", FetchSite: "no such"}, false},
	} {
		if err := open.CheckSite(c.site); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrForbidden) {
			t.Errorf("%+v: got %v, want it allowed: %v", c.site, err, c.ok)
		}
		// A caller with a token is not a web page. A gateway may forward such headers.
		if err := closed.CheckSite(c.site); err != nil {
			t.Errorf("%+v with tokens: %v", c.site, err)
		}
	}
	wantError(t, open.CheckSite(Site{Host: "mon:9000"}), `not known as "mon:9000"`, "(--http_host)")
	wantError(t, open.CheckSite(Site{Origin: "http://evil.example"}), "(--token_file FILE)")
}

// FuzzSite checks that only addresses and the configured names are accepted.
// Faults: T70.
func FuzzSite(f *testing.F) {
	for _, host := range []string{"localhost:1", "127.0.0.1", "[::1]:80", "mon.example", "evil.example", "127.0.0.1%00", "[127.0.0.1]", "::1", "LOCALHOST"} {
		f.Add(host)
	}
	p := Policy{Insecure: true, Hosts: []string{"mon.example"}}
	f.Fuzz(func(t *testing.T, host string) {
		if host == "" || p.CheckSite(Site{Host: host}) != nil {
			return
		}
		name := host
		if h, _, err := net.SplitHostPort(host); err == nil {
			name = h
		}
		name = strings.ToLower(strings.Trim(name, "[]"))
		if _, err := netip.ParseAddr(name); err != nil && name != "localhost" && name != "mon.example" {
			t.Fatalf("the foreign host %q is accepted", host)
		}
	})
}
