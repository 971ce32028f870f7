package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/microhq/monitor-srv/setting"
)

// TargetAddr splits the address of a target, host:port. The host is a name, an
// international one in its ASCII form, or an IPv4 or IPv6 address in its usual form.
// Forms that one resolver takes for an address and another for a name are errors:
// decimal, octal, hexadecimal and short ones, such as 2130706433, 0177.0.0.1, 0x7f.1
// and 127.1.
func TargetAddr(address string) (host, port string, err error) {
	if err := noLogin(address); err != nil {
		return "", "", err
	}
	host, port, err = net.SplitHostPort(address)
	if err != nil {
		return "", "", fmt.Errorf("address %q: want host:port", printable(address))
	}
	if host, err = hostOf(host); err != nil {
		return "", "", err
	}
	if err := checkPort(port); err != nil {
		return "", "", err
	}
	return host, port, nil
}

// noLogin refuses an address with an @: what stands before it may be a password. It is
// not shown.
func noLogin(address string) error {
	if strings.Contains(address, "@") {
		return errors.New("want a host without user and password: what was given holds an @ and is not shown")
	}
	return nil
}

// hostOf checks a host, and returns it as DNS and certificates know it.
func hostOf(host string) (string, error) {
	if err := noLogin(host); err != nil {
		return "", err
	}
	ascii, err := asciiHost(host)
	if err != nil {
		return "", err
	}
	return ascii, checkHost(ascii)
}

// asciiHost returns an international name in its ASCII form.
func asciiHost(host string) (string, error) {
	ascii, err := setting.ASCIIHost(host)
	if err != nil {
		return "", err
	}
	if last := ascii[strings.LastIndexByte(ascii, '.')+1:]; ascii != host && looksNumeric(last) {
		return "", fmt.Errorf("host %q: write an address in ASCII digits", printable(host))
	}
	return ascii, nil
}

// dsnHost returns the host of a DSN in its ASCII form.
func dsnHost(host string) (string, error) {
	if err := noLogin(host); err != nil {
		return "", err
	}
	return asciiHost(host)
}

// withPort checks an address as TargetAddr does, and adds the port if there is none.
func withPort(address, port string) (string, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), port)
	}
	host, port, err := TargetAddr(address)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, port), nil
}

// escapeQuery escapes what may not stand in the query of a request line, as browsers do.
func escapeQuery(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"#<>`, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func checkPort(port string) error {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || port[0] == '0' {
		return fmt.Errorf("port %q: want a number from 1 to 65535", printable(port))
	}
	return nil
}

// checkHost checks a host name or address.
func checkHost(host string) error {
	if strings.Contains(host, ":") {
		if _, err := netip.ParseAddr(host); err != nil {
			return fmt.Errorf("host %q: not an IPv6 address", printable(host))
		}
		return nil
	}
	name := strings.TrimSuffix(host, ".")
	labels := strings.Split(name, ".")
	if looksNumeric(labels[len(labels)-1]) {
		if _, err := netip.ParseAddr(host); err != nil {
			return fmt.Errorf("host %q: neither a name nor an IPv4 address in dotted decimal form", printable(host))
		}
		return nil
	}
	if err := checkName(name, labels); err != nil {
		return fmt.Errorf("host %q: %w", printable(host), err)
	}
	return nil
}

func checkName(name string, labels []string) error {
	if len(name) > 253 {
		return errors.New("longer than 253 bytes")
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 {
			return errors.New("want labels of 1 to 63 bytes, separated by dots")
		}
		if i := strings.IndexFunc(label, notInName); i >= 0 {
			return errors.New("want letters, digits, hyphens and dots")
		}
	}
	return nil
}

func notInName(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
		return false
	}
	return true
}

// looksNumeric reports whether a resolver may take a name that ends in this label for
// an address. No top-level domain is a number.
func looksNumeric(label string) bool {
	if rest, ok := strings.CutPrefix(strings.ToLower(label), "0x"); ok {
		return strings.Trim(rest, "0123456789abcdef") == ""
	}
	return label != "" && strings.Trim(label, "0123456789") == ""
}
