package registry_test

import (
	"context"

	"go-micro.dev/v4/registry"

	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

// guarded guards f, which opens at once.
func guarded(f *registrytest.Fake, change func(*guardregistry.Config)) *guardregistry.Registry {
	cfg := guardregistry.Config{
		Name:    "fake",
		Address: "here",
		Open:    func(context.Context) (registry.Registry, error) { return f, nil },
		Logger:  testkit.QuietLog(),
	}
	if change != nil {
		change(&cfg)
	}
	return guardregistry.New(cfg)
}
