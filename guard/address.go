package guard

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// hostPort checks host or host:port and gives it with a port.
func HostPort(address, port string) (string, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	if net.ParseIP(host) == nil && strings.Contains(address, ":") {
		var err error
		if host, port, err = net.SplitHostPort(address); err != nil {
			return "", errors.New("it is no host and port")
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("port %q is no number from 1 to 65535", port)
	}
	if host == "" {
		return "", errors.New("it names no host")
	}
	joined := net.JoinHostPort(host, port)
	if u, err := url.Parse("http://" + joined); err != nil || u.Host != joined || u.Hostname() == "" ||
		strings.ContainsAny(host, " \t?#%/\\") {
		return "", fmt.Errorf("%q is no host", host)
	}
	return joined, nil
}
