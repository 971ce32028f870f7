package broker

import (
	"fmt"
	"strings"

	"go-micro.dev/v4/registry"
)

// Names returns the names that ByName knows.
func Names() []string { return []string{"http", "nats"} }

// Options are those that every broker of ByName needs.
type Options struct {
	Config
	// Address is the address to listen on (http), or a comma-separated list of
	// servers (nats). Empty: the broker's default.
	Address string
	// Registry is used by http; see HTTPConfig.
	Registry registry.Registry
	// ClientName is used by nats; see NATSConfig.Name.
	ClientName string
}

// ByName returns a guarded broker. It does not connect.
func ByName(name string, opts Options) (*Broker, error) {
	switch name {
	case "http":
		return NewHTTP(HTTPConfig{Config: opts.Config, Registry: opts.Registry, Address: opts.Address})
	case "nats":
		cfg := NATSConfig{Config: opts.Config, Name: opts.ClientName}
		if opts.Address != "" {
			cfg.Addresses = []string{opts.Address}
		}
		return NewNATS(cfg)
	default:
		return nil, fmt.Errorf("unknown broker %q: give one of %s", name, strings.Join(Names(), ", "))
	}
}
