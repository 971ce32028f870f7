package guard_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"

	"github.com/microhq/monitor-srv/guard"
	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
)

// A service as go-micro's server registers it: 20 s TTL, renewed each 5 s.
const (
	serviceName = "go.micro.srv.guarded"
	serviceID   = "1"
	nodeID      = serviceName + "-" + serviceID
)

// service is a go-micro server on a guarded registry and a guarded http broker,
// with one topic.
type service struct {
	t        testing.TB
	registry *guardregistry.Registry
	broker   *guardbroker.Broker
	server   server.Server
	received atomic.Int64
	stops    []func() time.Duration
}

const topic = "guarded.topic"

// startUnregistered starts the whole against an agent that does not serve. It must be
// ready soon, and its registry must tell the reason within a time.
func startUnregistered(t *testing.T, a *consultest.Agent, within time.Duration, reason string) (*service, time.Duration) {
	t.Helper()
	s, took := startService(t, a)
	if took > 3*time.Second {
		t.Errorf("ready after %v, want 3s at most", took)
	}
	testkit.Eventually(t, within, "the reason is told", func() bool {
		state := s.registry.State()
		return !state.OK && state.Reason == "consul at "+a.Address()+": "+reason
	})
	return s, took
}

// startWithConsul starts an agent and the whole, and waits until that is registered.
func startWithConsul(t *testing.T, startAgent func(testing.TB) *consultest.Agent) (*consultest.Agent, *service) {
	t.Helper()
	testkit.SkipIfShort(t)
	testkit.NoLeaks(t)
	a := startAgent(t)
	s, _ := startService(t, a)
	testkit.Eventually(t, 16*time.Second, "registered", func() bool { return s.registered(a) })
	return a, s
}

// newServer makes a server that registers itself at an interval.
func newServer(r registry.Registry, b broker.Broker, log *slog.Logger, interval time.Duration) server.Server {
	return server.NewServer(
		server.Name(serviceName), server.Id(serviceID), server.Address("127.0.0.1:0"),
		server.Registry(r), server.Broker(b), server.WithLogger(guard.NewLogger(log)),
		server.RegisterTTL(20*time.Second), server.RegisterInterval(interval),
	)
}

// startService starts the whole against the agent and tells how long that took.
func startService(t *testing.T, a *consultest.Agent) (*service, time.Duration) {
	t.Helper()
	consultest.ClearEnv(t)
	start := time.Now()
	r, err := guardregistry.NewConsul(guardregistry.ConsulConfig{Address: a.Address()}, guardregistry.Config{Logger: testkit.QuietLog()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := guardbroker.NewHTTP(guardbroker.HTTPConfig{Config: guardbroker.Config{Logger: testkit.QuietLog()}, Registry: r})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, registry: r, broker: b}
	s.stops = []func() time.Duration{testkit.Run(t, r), testkit.Run(t, b)}
	s.server = newServer(r, b, testkit.QuietLog(), 5*time.Second)
	if _, err := b.Subscribe(topic, func(broker.Event) error { s.received.Add(1); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.server.Stop() })
	testkit.Eventually(t, 5*time.Second, "the topic is subscribed", func() bool {
		subs := b.Subscriptions()
		return len(subs) == 1 && subs[0].State.OK
	})
	return s, time.Since(start)
}

// stop stops in the order of a service: server with broker, registry, the rest. It
// tells how long that took.
func (s *service) stop() time.Duration {
	s.t.Helper()
	start := time.Now()
	if err := s.server.Stop(); err != nil {
		s.t.Errorf("server: %v", err)
	}
	_ = s.registry.DeregisterAll(context.Background()) // a frozen registry makes it fail
	for _, stop := range s.stops {
		stop()
	}
	return time.Since(start)
}

// registered tells whether Consul knows the service and its topic as passing.
func (s *service) registered(a *consultest.Agent) bool {
	return a.Passing(serviceName, nodeID) && len(a.Nodes("micro.http.broker")) == 1
}

// newPublisher is a process of its own that publishes with go-micro's own broker on
// the plugin as it comes, which needs Consul only to find subscribers.
func newPublisher(t *testing.T, a *consultest.Agent) broker.Broker {
	t.Helper()
	client := consultest.Open(t, guardregistry.ConsulConfig{Address: a.Address()})
	b := broker.NewBroker(broker.Registry(client), broker.Logger(guard.NewLogger(testkit.QuietLog())))
	if err := b.Init(); err != nil { // makes its cache
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Init() }) // stops it
	return b
}

// publish sends n events by the publisher and gives how many it could not send.
func publish(p broker.Broker, n int) (failed int) {
	for i := range n {
		msg := &broker.Message{Header: map[string]string{"Content-Type": "application/json"}, Body: fmt.Append(nil, i)}
		if p.Publish(topic, msg) != nil {
			failed++
		}
		<-time.After(5 * time.Millisecond)
	}
	return failed
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
