package consultest

import (
	"context"
	"testing"
	"time"

	"go-micro.dev/v4/registry"

	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// Open opens a registry on Consul that is not guarded.
func Open(t testing.TB, cfg guardregistry.ConsulConfig) registry.Registry {
	t.Helper()
	consul, err := guardregistry.NewConsulClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	reg, err := consul.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

// RunGuarded starts an agent and runs a guarded registry on it. stop is that of
// testkit.Run.
func RunGuarded(t *testing.T) (a *Agent, r *guardregistry.Registry, stop func() time.Duration) {
	t.Helper()
	ClearEnv(t)
	a = Start(t)
	r, err := guardregistry.NewConsul(guardregistry.ConsulConfig{Address: a.Address()}, guardregistry.Config{Logger: testkit.QuietLog()})
	if err != nil {
		t.Fatal(err)
	}
	return a, r, testkit.Run(t, r)
}
