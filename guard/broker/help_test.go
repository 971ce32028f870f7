package broker_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/natstest"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

// fakeBroker is an inner broker that does what the test says.
type fakeBroker struct {
	mu         sync.Mutex
	connected  bool                      // guarded by mu
	subs       map[string]broker.Handler // guarded by mu; live, by topic
	calls      []string                  // guarded by mu
	connect    error                     // guarded by mu; what Connect answers
	subscribe  func(topic string) error  // guarded by mu
	publish    func(*broker.Message) error
	disconnect chan struct{} // guarded by mu; Disconnect waits until it is closed
}

func (f *fakeBroker) Init(...broker.Option) error { return nil }
func (f *fakeBroker) Options() broker.Options     { return broker.Options{} }
func (f *fakeBroker) Address() string             { return "nats://user:hunter2@host:1" }
func (f *fakeBroker) String() string              { return "fake" }

func (f *fakeBroker) Connect() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "connect")
	f.connected = f.connect == nil
	return f.connect
}

func (f *fakeBroker) Disconnect() error {
	f.mu.Lock()
	f.calls = append(f.calls, "disconnect")
	f.connected = false
	wait := f.disconnect
	f.mu.Unlock()
	if wait != nil {
		<-wait
	}
	return nil
}

func (f *fakeBroker) Publish(_ string, m *broker.Message, _ ...broker.PublishOption) error {
	f.mu.Lock()
	publish := f.publish
	f.mu.Unlock()
	if publish == nil {
		return nil
	}
	return publish(m)
}

func (f *fakeBroker) Subscribe(topic string, h broker.Handler, _ ...broker.SubscribeOption) (broker.Subscriber, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "subscribe "+topic)
	if !f.connected {
		return nil, errors.New("not connected")
	}
	if f.subscribe != nil {
		if err := f.subscribe(topic); err != nil {
			return nil, err
		}
	}
	if f.subs == nil {
		f.subs = make(map[string]broker.Handler)
	}
	f.subs[topic] = h
	return &fakeSubscriber{f: f, topic: topic}, nil
}

func (f *fakeBroker) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// send hands an event to the live handler and tells whether there was one.
func (f *fakeBroker) send(topic, body string) bool {
	f.mu.Lock()
	h := f.subs[topic]
	f.mu.Unlock()
	if h == nil {
		return false
	}
	_ = h(fakeEvent{topic: topic, m: &broker.Message{Body: []byte(body)}})
	return true
}

type fakeSubscriber struct {
	f     *fakeBroker
	topic string
}

func (s *fakeSubscriber) Options() broker.SubscribeOptions { return broker.SubscribeOptions{} }
func (s *fakeSubscriber) Topic() string                    { return s.topic }
func (s *fakeSubscriber) Unsubscribe() error {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.calls = append(s.f.calls, "unsubscribe "+s.topic)
	delete(s.f.subs, s.topic)
	return nil
}

type fakeEvent struct {
	topic string
	m     *broker.Message
}

func (e fakeEvent) Topic() string            { return e.topic }
func (e fakeEvent) Message() *broker.Message { return e.m }
func (e fakeEvent) Ack() error               { return nil }
func (e fakeEvent) Error() error             { return nil }

func guarded(f *fakeBroker, change func(*guardbroker.Config)) *guardbroker.Broker {
	cfg := guardbroker.Config{Logger: testkit.QuietLog()}
	if change != nil {
		change(&cfg)
	}
	return guardbroker.New(f, cfg)
}

func ignoreEvent(broker.Event) error { return nil }

// subscribe subscribes or fails the test.
func subscribe(t testing.TB, b *guardbroker.Broker, topic string, h broker.Handler) broker.Subscriber {
	t.Helper()
	s, err := b.Subscribe(topic, h)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// runBroker runs what a constructor returned.
func runBroker(t *testing.T, b *guardbroker.Broker, err error) (stop func() time.Duration) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return testkit.Run(t, b)
}

// startHTTP starts a guarded http broker on the registry.
func startHTTP(t *testing.T, reg registry.Registry, change func(*guardbroker.HTTPConfig)) (b *guardbroker.Broker, stop func() time.Duration) {
	t.Helper()
	cfg := guardbroker.HTTPConfig{Config: guardbroker.Config{Logger: testkit.QuietLog()}, Registry: reg}
	if change != nil {
		change(&cfg)
	}
	b, err := guardbroker.NewHTTP(cfg)
	stop = runBroker(t, b, err)
	testkit.Eventually(t, 5*time.Second, "connected", func() bool { return b.Connect() == nil && b.State().OK })
	return b, stop
}

// startCounting starts an http broker that counts the events of a topic, and returns the id of
// its subscription too.
func startCounting(t *testing.T, topic string) (b *guardbroker.Broker, id string, n *atomic.Int64) {
	t.Helper()
	testkit.NoLeaks(t)
	reg := &registrytest.Fake{}
	b, _ = startHTTP(t, reg, nil)
	n = countEvents(t, b, topic)
	return b, reg.ID(), n
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

// connectNATS starts a server of NATS and a broker that is connected with it.
func connectNATS(t *testing.T, change func(*guardbroker.NATSConfig)) (n *natstest.Server, b *guardbroker.Broker, stop func() time.Duration) {
	t.Helper()
	testkit.NoLeaks(t)
	n = natstest.Start(t, nil)
	b, stop = startNATS(t, n.Address(), change)
	awaitConnected(t, b, 5*time.Second)
	return n, b, stop
}

// startNATS starts a guarded broker on the address and asks it to connect.
func startNATS(t *testing.T, address string, change func(*guardbroker.NATSConfig)) (b *guardbroker.Broker, stop func() time.Duration) {
	t.Helper()
	cfg := guardbroker.NATSConfig{
		Config:    guardbroker.Config{Logger: testkit.QuietLog()},
		Addresses: []string{address},
	}
	if change != nil {
		change(&cfg)
	}
	b, err := guardbroker.NewNATS(cfg)
	stop = runBroker(t, b, err)
	start := time.Now()
	if err := b.Connect(); err != nil || time.Since(start) > 3*time.Second {
		t.Fatalf("Connect: %v after %v", err, time.Since(start))
	}
	return b, stop
}

// awaitConnected waits until the connection stands.
func awaitConnected(t testing.TB, b *guardbroker.Broker, limit time.Duration) time.Duration {
	t.Helper()
	return testkit.Eventually(t, limit, "connected", func() bool { return b.State().OK })
}

// stopsWithin disconnects and stops a broker, and checks how long both take.
func stopsWithin(t *testing.T, limit time.Duration, b *guardbroker.Broker, stop func() time.Duration) {
	t.Helper()
	start := time.Now()
	if err := b.Disconnect(); err != nil {
		t.Error(err)
	}
	stop()
	if took := time.Since(start); took > limit {
		t.Errorf("stop took %v", took)
	}
}
