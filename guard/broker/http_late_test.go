package broker_test

import (
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"

	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

// arrivesLate subscribes a topic that the publisher knows to have no subscriber, and
// returns how long it takes until an event of it arrives.
func arrivesLate(t *testing.T, publisher broker.Broker, subscriberRegistry registry.Registry) time.Duration {
	t.Helper()
	b, _ := startHTTP(t, subscriberRegistry, nil)
	first := countEvents(t, b, "first")
	arrives := func(topic string, n *atomic.Int64) {
		t.Helper()
		testkit.Eventually(t, 20*time.Second, "an event of "+topic+" arrives", func() bool {
			_ = publisher.Publish(topic, message("x"))
			return n.Load() > 0
		})
	}
	arrives("first", first)
	if err := publisher.Publish("second", message("x")); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	arrives("second", countEvents(t, b, "second"))
	return time.Since(start)
}

func TestEventsOfATopicArriveThatIsSubscribedAfterAnother(t *testing.T) {
	testkit.NoLeaks(t)
	reg := &registrytest.Fake{} // whose watch says nothing
	publisher, _ := startHTTP(t, reg, nil)
	if took := arrivesLate(t, publisher, reg); took > 10*time.Second {
		t.Errorf("an event arrived after %v", took)
	}
}

// guardedConsul is a guarded registry of the agent.
func guardedConsul(t *testing.T, agent *consultest.Agent) registry.Registry {
	t.Helper()
	reg, err := guardregistry.ByName("consul", agent.Address(), guardregistry.Config{Logger: testkit.QuietLog()})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, reg)
	return reg
}

func TestEventsArriveAtALateSubscriberThroughConsul(t *testing.T) {
	testkit.SkipIfShort(t)
	agent := consultest.Start(t)
	for _, c := range []struct {
		name      string
		publisher func(registry.Registry) broker.Broker
	}{
		{"our publisher", func(r registry.Registry) broker.Broker { b, _ := startHTTP(t, r, nil); return b }},
		{"a stock publisher", func(r registry.Registry) broker.Broker { return stockBroker(t, r) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			took := arrivesLate(t, c.publisher(guardedConsul(t, agent)), guardedConsul(t, agent))
			t.Logf("an event arrived after %v", took)
			if took > 10*time.Second {
				t.Error("want 10 s at most")
			}
		})
	}
}
