package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/microhq/monitor-srv/text"
)

// parseAddress parses the mail address of a key. An international domain becomes
// ASCII, which every server takes.
func parseAddress(key, s string) (*mail.Address, error) {
	address, err := mail.ParseAddress(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is not an address: %w", key, s, err)
	}
	at := strings.LastIndexByte(address.Address, '@')
	domain, err := asciiDomain(address.Address[at+1:])
	if err != nil {
		return nil, fmt.Errorf("%s: %q is not an address: %w", key, s, err)
	}
	address.Address = address.Address[:at+1] + domain
	return address, nil
}

// asciiDomain returns an international domain in ASCII, and others as they are.
func asciiDomain(domain string) (string, error) {
	if isASCII(domain) {
		return domain, nil
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return "", fmt.Errorf("the domain %q is not valid", text.Line(domain, 100))
	}
	return ascii, nil
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > '~' }) < 0
}

func (a *mailAction) setAddresses(keys mailKeys) error {
	if keys.From == "" {
		return errors.New("from is missing: give the address of the sender")
	}
	var err error
	if a.from, err = parseAddress("from", keys.From); err != nil {
		return err
	}
	a.to = map[Event][]*mail.Address{}
	known := map[string]*mail.Address{}
	for _, k := range []struct {
		key    string
		list   []string
		events []Event
	}{
		{"to", keys.To, []Event{Fail, Repeat, Recover}},
		{"init_to", keys.InitTo, []Event{Init}},
		{"fail_to", keys.FailTo, []Event{Fail, Repeat}},
		{"recover_to", keys.RecoverTo, []Event{Recover}},
	} {
		for _, s := range k.list {
			parsed, err := parseAddress(k.key, s)
			if err != nil {
				return err
			}
			address := cmp.Or(known[parsed.Address], parsed)
			known[parsed.Address] = address
			for _, e := range k.events {
				if !slices.Contains(a.to[e], address) {
					a.to[e] = append(a.to[e], address)
				}
			}
		}
	}
	return nil
}

// lookupTimeout bounds the search for the full name of this machine.
const lookupTimeout = time.Second

// helloName returns the name by which this machine introduces itself: the key helo,
// or its full name, or else, as RFC 5321 asks, its address on the connection. Many
// servers refuse a name without a dot.
func (a *mailAction) helloName(ctx context.Context, conn net.Conn) string {
	if a.helo != "" {
		return a.helo
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if name := fullName(ctx, a.resolver, a.host); name != "" {
		return name
	}
	host, _, _ := net.SplitHostPort(conn.LocalAddr().String())
	host, _, _ = strings.Cut(host, "%") // the zone means nothing elsewhere
	if strings.Contains(host, ":") {
		return "[IPv6:" + host + "]"
	}
	return "[" + host + "]"
}

// fullName returns the full name of a host as the system knows it, from /etc/hosts or
// the DNS, or nothing. With a nil resolver only the name itself is looked at.
func fullName(ctx context.Context, resolver *net.Resolver, host string) string {
	full := func(name string) string {
		name = strings.TrimSuffix(name, ".")
		if !strings.Contains(name, ".") || !messageIDPattern.MatchString(name) {
			return ""
		}
		return name
	}
	if name := full(host); name != "" || resolver == nil || !messageIDPattern.MatchString(host) {
		return name
	}
	addresses, _ := resolver.LookupHost(ctx, host)
	var names []string
	for _, address := range addresses[:min(len(addresses), 4)] {
		found, _ := resolver.LookupAddr(ctx, address)
		names = append(names, found...)
	}
	canonical, _ := resolver.LookupCNAME(ctx, host)
	for _, name := range append(names, canonical) {
		if strings.HasPrefix(strings.ToLower(name), strings.ToLower(host)+".") && full(name) != "" {
			return full(name)
		}
	}
	return ""
}
