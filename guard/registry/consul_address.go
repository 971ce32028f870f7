package registry

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/microhq/monitor-srv/guard"
)

// consulAddress is the address of an agent.
type consulAddress struct {
	scheme string // http or https
	host   string // host:port
	prefix string // of every path, with a leading slash; may be empty
	socket string // path of a unix socket; may be empty
}

func (t consulAddress) String() string {
	switch {
	case t.socket != "":
		return "unix://" + t.socket
	case t.scheme == "https" || t.prefix != "":
		return t.scheme + "://" + t.host + t.prefix
	default:
		return t.host
	}
}

// findConsul takes the address from the configuration, the environment or the
// default, in this order. secure tells that the environment asks for TLS; then
// an http:// address uses TLS too.
func findConsul(cfg ConsulConfig, secure bool, logger *slog.Logger) (consulAddress, error) {
	from, address, port := "registry address", cfg.Address, "8500"
	if address == "" {
		// Consul's own tools use the port of the scheme here.
		from, address, port = api.HTTPAddrEnvName, os.Getenv(api.HTTPAddrEnvName), ""
	}
	if address == "" {
		address = "127.0.0.1:8500"
	}
	first, rest, several := strings.Cut(address, ",")
	if several && strings.Trim(rest, ", ") != "" {
		logger.Warn("only the first registry address is used: give the local Consul agent",
			"from", from, "used", guard.Redact(first), "ignored", guard.Redact(rest))
	}
	found, err := parseConsul(strings.TrimSpace(first), port, secure)
	if err != nil {
		return consulAddress{}, fmt.Errorf("%s %q: %w: give host:port, http://host:port, https://host:port or unix:///path",
			from, guard.Redact(first), err)
	}
	return found, nil
}

// parseConsul parses one address. port is the default port; empty means that of the
// scheme.
func parseConsul(address, port string, secure bool) (consulAddress, error) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		scheme, rest = "", address
	}
	t := consulAddress{scheme: "http"}
	switch scheme {
	case "unix":
		if !strings.HasPrefix(rest, "/") {
			return t, errors.New("the path of a socket must start with a slash")
		}
		t.socket, t.host = rest, "localhost"
		return t, nil
	case "https":
		t.scheme, port = "https", ""
	case "http":
		port = ""
	case "":
	default:
		return t, fmt.Errorf("unknown scheme %q", scheme)
	}
	if secure {
		t.scheme = "https"
	}
	rest, path, _ := strings.Cut(rest, "/")
	if path = strings.Trim(path, "/"); path != "" {
		if scheme == "" {
			return t, errors.New("a path needs http:// or https:// before the host")
		}
		t.prefix = "/" + path
	}
	if strings.Contains(rest, "@") {
		return t, fmt.Errorf("it contains a user or password: set %s instead", api.HTTPAuthEnvName)
	}
	var err error
	t.host, err = guard.HostPort(rest, cmp.Or(port, map[string]string{"http": "80", "https": "443"}[t.scheme]))
	return t, err
}
