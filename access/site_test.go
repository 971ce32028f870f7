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
	check := func(site Site, ok bool) {
		t.Helper()
		if err := open.CheckSite(site); (err == nil) != ok || err != nil && !errors.Is(err, ErrForbidden) {
			t.Errorf("%+v: got %v, want it allowed: %v", site, err, ok)
		}
		// A caller with a token is not a web page. A gateway may forward such headers.
		if err := closed.CheckSite(site); err != nil {
			t.Errorf("%+v with tokens: %v", site, err)
		}
	}
	for _, host := range []string{
		"", "127.0.0.1:9000", "192.0.2.7:9000", "[2001:db8::1]:9000", "[::1]", "LocalHost:9000", "mon.example:1", "RPC.example",
	} {
		check(Site{Host: host}, true)
	}
	for _, host := range []string{
		"evil.example", "evil.example:9000", "localhost.evil.example", "127.0.0.1.evil.example:9000", "localhost.", "2130706433",
		"0x7f.1", "localhost@evil.example", "127.0.0.1:x", ":0",
	} {
		check(Site{Host: host}, false)
	}
	for _, origin := range []string{"http://evil.example", "http://127.0.0.1", "null"} {
		check(Site{Host: "127.0.0.1", Origin: origin}, false)
	}
	check(Site{Host: "127.0.0.1:1", FetchSite: "none"}, true)
	for _, fetch := range []string{"cross-site", "same-site", "same-origin", "no such"} {
		check(Site{Host: "127.0.0.1", FetchSite: fetch}, false)
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
