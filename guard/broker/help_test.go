package broker_test

import (
	"errors"
	"sync"
	"testing"

	"go-micro.dev/v4/broker"

	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// brkFake is an inner broker that does what the test says.
type brkFake struct {
	mu         sync.Mutex
	connected  bool                      // guarded by mu
	subs       map[string]broker.Handler // guarded by mu; live, by topic
	calls      []string                  // guarded by mu
	connect    error                     // guarded by mu; what Connect answers
	subscribe  func(topic string) error  // guarded by mu
	publish    func(*broker.Message) error
	disconnect chan struct{} // guarded by mu; Disconnect waits until it is closed
}

func (f *brkFake) Init(...broker.Option) error { return nil }
func (f *brkFake) Options() broker.Options     { return broker.Options{} }
func (f *brkFake) Address() string             { return "nats://user:hunter2@host:1" }
func (f *brkFake) String() string              { return "fake" }

func (f *brkFake) Connect() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "connect")
	f.connected = f.connect == nil
	return f.connect
}

func (f *brkFake) Disconnect() error {
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

func (f *brkFake) Publish(_ string, m *broker.Message, _ ...broker.PublishOption) error {
	f.mu.Lock()
	publish := f.publish
	f.mu.Unlock()
	if publish == nil {
		return nil
	}
	return publish(m)
}

func (f *brkFake) Subscribe(topic string, h broker.Handler, _ ...broker.SubscribeOption) (broker.Subscriber, error) {
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
	return &brkFakeSub{f: f, topic: topic}, nil
}

func (f *brkFake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// send hands an event to the live handler and tells whether there was one.
func (f *brkFake) send(topic, body string) bool {
	f.mu.Lock()
	h := f.subs[topic]
	f.mu.Unlock()
	if h == nil {
		return false
	}
	_ = h(brkEvent{topic: topic, m: &broker.Message{Body: []byte(body)}})
	return true
}

type brkFakeSub struct {
	f     *brkFake
	topic string
}

func (s *brkFakeSub) Options() broker.SubscribeOptions { return broker.SubscribeOptions{} }
func (s *brkFakeSub) Topic() string                    { return s.topic }
func (s *brkFakeSub) Unsubscribe() error {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.calls = append(s.f.calls, "unsubscribe "+s.topic)
	delete(s.f.subs, s.topic)
	return nil
}

type brkEvent struct {
	topic string
	m     *broker.Message
}

func (e brkEvent) Topic() string            { return e.topic }
func (e brkEvent) Message() *broker.Message { return e.m }
func (e brkEvent) Ack() error               { return nil }
func (e brkEvent) Error() error             { return nil }

func brkOf(f *brkFake, change func(*guardbroker.Config)) *guardbroker.Broker {
	cfg := guardbroker.Config{Logger: testkit.QuietLog()}
	if change != nil {
		change(&cfg)
	}
	return guardbroker.New(f, cfg)
}

func brkIgnore(broker.Event) error { return nil }

// brkSubscribe subscribes or fails the test.
func brkSubscribe(t testing.TB, b *guardbroker.Broker, topic string, h broker.Handler) broker.Subscriber {
	t.Helper()
	s, err := b.Subscribe(topic, h)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
