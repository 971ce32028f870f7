package guard

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// HostPort checks an address that is host or host:port and returns it as host:port.
// port is the default.
func HostPort(address, port string) (string, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	if net.ParseIP(host) == nil && strings.Contains(address, ":") {
		var err error
		if host, port, err = net.SplitHostPort(address); err != nil {
			return "", errors.New("it is not host:port")
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	if host == "" {
		return "", errors.New("the host is missing")
	}
	joined := net.JoinHostPort(host, port)
	if u, err := url.Parse("http://" + joined); err != nil || u.Host != joined || u.Hostname() == "" ||
		strings.ContainsAny(host, " \t?#%/\\") {
		return "", fmt.Errorf("%q is not a host", host)
	}
	return joined, nil
}
