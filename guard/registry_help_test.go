package guard_test

import (
	"context"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// regOf guards f, which opens at once.
func regOf(f *FakeRegistry, change func(*guard.RegistryConfig)) *guard.Registry {
	cfg := guard.RegistryConfig{
		Name:    "fake",
		Address: "here",
		Open:    func(context.Context) (registry.Registry, error) { return f, nil },
		Logger:  QuietLog(),
	}
	if change != nil {
		change(&cfg)
	}
	return guard.NewRegistry(cfg)
}
