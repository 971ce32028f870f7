package guard_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"

	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// openConsul opens a registry on the agent that is not guarded.
func openConsul(t *testing.T, cfg guardregistry.ConsulConfig) registry.Registry {
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

// startHTTPBroker runs a guarded http broker on the registry until the test ends.
func startHTTPBroker(t *testing.T, reg registry.Registry) *guardbroker.Broker {
	t.Helper()
	b, err := guardbroker.NewHTTP(guardbroker.HTTPConfig{Config: guardbroker.Config{Logger: testkit.QuietLog()}, Registry: reg})
	if err != nil {
		t.Fatal(err)
	}
	connect(t, b)
	return b
}

// startNATSBroker runs a guarded broker on the NATS server until the test ends.
func startNATSBroker(t *testing.T, address string) *guardbroker.Broker {
	t.Helper()
	b, err := guardbroker.NewNATS(guardbroker.NATSConfig{
		Config: guardbroker.Config{Logger: testkit.QuietLog()}, Addresses: []string{address},
	})
	if err != nil {
		t.Fatal(err)
	}
	connect(t, b)
	return b
}

func connect(t *testing.T, b *guardbroker.Broker) {
	t.Helper()
	testkit.Run(t, b)
	testkit.Eventually(t, 5*time.Second, "connected", func() bool { return b.Connect() == nil && b.State().OK })
}

// countEvents subscribes to a topic and counts its events.
func countEvents(t *testing.T, b *guardbroker.Broker, topic string) *atomic.Int64 {
	t.Helper()
	n := &atomic.Int64{}
	if _, err := b.Subscribe(topic, func(broker.Event) error { n.Add(1); return nil }); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 6*time.Second, "subscribed", func() bool {
		subs := b.Subscriptions()
		return len(subs) == 1 && subs[0].State.OK
	})
	return n
}
