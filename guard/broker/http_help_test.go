package broker_test

import (
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// startHTTP starts a guarded http broker on the registry.
func startHTTP(t *testing.T, reg registry.Registry, change func(*guardbroker.HTTPConfig)) (b *guardbroker.Broker, stop func() time.Duration) {
	t.Helper()
	cfg := guardbroker.HTTPConfig{Config: guardbroker.Config{Logger: testkit.QuietLog()}, Registry: reg}
	if change != nil {
		change(&cfg)
	}
	b, err := guardbroker.NewHTTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop = testkit.Run(t, b)
	testkit.Eventually(t, 5*time.Second, "connected", func() bool { return b.Connect() == nil && b.State().OK })
	return b, stop
}

// countEvents subscribes the topic and counts its events.
func countEvents(t *testing.T, b *guardbroker.Broker, topic string, opts ...broker.SubscribeOption) *atomic.Int64 {
	t.Helper()
	n := &atomic.Int64{}
	if _, err := b.Subscribe(topic, func(broker.Event) error { n.Add(1); return nil }, opts...); err != nil {
		t.Fatal(err)
	}
	awaitSubscribed(t, b)
	return n
}

// awaitSubscribed waits until every subscription holds.
func awaitSubscribed(t *testing.T, b *guardbroker.Broker) {
	t.Helper()
	testkit.Eventually(t, 6*time.Second, "subscribed", func() bool {
		for _, s := range b.Subscriptions() {
			if !s.State.OK {
				return false
			}
		}
		return true
	})
}

// stockBroker is go-micro's own http broker, as publishers and subscribers run it.
func stockBroker(t *testing.T, reg registry.Registry) broker.Broker {
	t.Helper()
	b := broker.NewBroker(broker.Registry(reg), broker.Logger(guard.NewLogger(testkit.QuietLog())))
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Disconnect() })
	return b
}

func message(body string) *broker.Message {
	return &broker.Message{Header: map[string]string{"Content-Type": "application/json"}, Body: []byte(body)}
}
