package registry

import (
	"context"
	"fmt"
	"strings"

	"go-micro.dev/v4/registry"
)

// Names returns the names that ByName knows.
func Names() []string { return []string{"consul", "mdns", "memory"} }

// ByName returns a guarded registry. The address is that of a Consul agent; mdns and
// memory have none. ByName sets Name, Address and Open of cfg. It does not connect.
func ByName(name, address string, cfg Config) (*Registry, error) {
	cfg.Name = name
	switch name {
	case "consul":
		return NewConsul(ConsulConfig{Address: address}, cfg)
	case "mdns":
		cfg.Open = func(context.Context) (registry.Registry, error) { return registry.NewRegistry(), nil }
	case "memory":
		cfg.Open = func(context.Context) (registry.Registry, error) { return registry.NewMemoryRegistry(), nil }
	default:
		return nil, fmt.Errorf("unknown registry %q: give one of %s", name, strings.Join(Names(), ", "))
	}
	return New(cfg), nil
}
