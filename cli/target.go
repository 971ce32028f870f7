package cli

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/microhq/monitor-srv/access"
)

// defaultPort is that of an instance whose address names none.
const defaultPort = "3838"

// A target is an instance to ask.
type target struct{ address, token string }

// parseTarget reads HOST, HOST:PORT or a URL http://HOST:PORT, with a token before the
// host as goma takes it: USER:TOKEN@HOST.
func parseTarget(text string) (target, error) {
	const plain, tls = "http://", "https://"
	switch lower := strings.ToLower(text); {
	case strings.HasPrefix(lower, tls):
		return target{}, usageError{fmt.Errorf("--%s is an https:// URL, and instances do not speak TLS: give http://HOST:PORT", flagHTTPAddress)}
	case strings.HasPrefix(lower, plain):
		text = strings.TrimSuffix(text[len(plain):], "/")
	}
	address, token := splitToken(text)
	if strings.ContainsAny(address, "/?#") {
		return target{}, usageError{fmt.Errorf("--%s %q is not an address: give HOST, HOST:PORT or http://HOST:PORT", flagHTTPAddress, address)}
	}
	host, port := splitPort(address)
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return target{}, usageError{fmt.Errorf("--%s %q: the port is not a number of 1 to 65535", flagHTTPAddress, address)}
	}
	if host == "" && address != "" { // as in :3838, which an instance may listen at
		host = "127.0.0.1"
	}
	joined := net.JoinHostPort(host, port)
	_, notIP := netip.ParseAddr(host)
	if _, ok := access.HostOf(joined); !ok || strings.Contains(host, ":") && notIP != nil {
		return target{}, usageError{fmt.Errorf("--%s %q is not an address: give HOST, HOST:PORT or http://HOST:PORT", flagHTTPAddress, address)}
	}
	return target{address: reachable(joined), token: token}, nil
}

// splitPort splits an address into host and port, or the default port.
func splitPort(address string) (host, port string) {
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")); err == nil {
		return ip.String(), defaultPort
	}
	if host, port, err := net.SplitHostPort(address); err == nil {
		return host, port
	}
	return address, defaultPort
}

// splitToken splits what stands before an @ from an address, so that the address
// may be shown. The token is what follows the first colon of it, if there is one.
func splitToken(text string) (address, token string) {
	i := strings.LastIndexByte(text, '@')
	if i < 0 {
		return text, ""
	}
	_, token, _ = strings.Cut(text[:i], ":")
	return text[i+1:], token
}
