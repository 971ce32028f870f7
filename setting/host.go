package setting

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/microhq/monitor-srv/text"
)

// maxHost bounds a host in an error, in bytes.
const maxHost = 256

// ASCIIHost returns an international name in its ASCII form, which DNS and
// certificates know. Labels that are ASCII stay, those with an underscore among them.
func ASCIIHost(host string) (string, error) {
	labels := strings.Split(host, ".")
	for i, label := range labels {
		if !strings.ContainsFunc(label, func(r rune) bool { return r >= utf8.RuneSelf }) {
			continue
		}
		ascii, err := idna.Lookup.ToASCII(label)
		if err != nil {
			return "", fmt.Errorf("host %q: not a valid international name", text.Line(host, maxHost))
		}
		labels[i] = ascii
	}
	return strings.Join(labels, "."), nil
}

// WithoutZone returns a host without the zone of an IPv6 address, which names an
// interface of this machine and stands in no certificate.
func WithoutZone(host string) string {
	host, _, _ = strings.Cut(host, "%")
	return host
}

// certificateName returns the key server_name as a certificate may carry it: without
// brackets and a zone.
func certificateName(name string) (string, error) {
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return addr.WithZone("").String(), nil
	}
	if strings.ContainsAny(name, ":/@ \t\r\n") {
		return "", fmt.Errorf("server_name: %q is not a name or an address, as a certificate carries it", text.Line(name, maxHost))
	}
	ascii, err := ASCIIHost(name)
	if err != nil {
		return "", fmt.Errorf("server_name: %w", err)
	}
	return ascii, nil
}
