package broker

import (
	"errors"
	"fmt"
	"slices"

	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/guard"
)

// subscription is one wanted subscription.
type subscription struct {
	b       *Broker
	topic   string
	handler broker.Handler
	opts    []broker.SubscribeOption
	options broker.SubscribeOptions
	state   *guard.StateTracker

	active    broker.Subscriber // guarded by Broker.mu; of the inner broker, nil without one
	cancelled bool              // guarded by Broker.mu; Unsubscribe was called
}

// Subscribe records that handler wants the events of topic and returns at once. Run
// subscribes until it succeeds. Subscribe fails only if the topic is already
// subscribed or there are too many subscriptions.
//
// Errors and panics of the handler are counted and logged. The inner broker does not
// receive them: it would only log them again, for every event.
func (b *Broker) Subscribe(topic string, handler broker.Handler, opts ...broker.SubscribeOption) (broker.Subscriber, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.subs[topic] != nil:
		return nil, fmt.Errorf("subscribing to %q: it is already subscribed: unsubscribe first", topic)
	case len(b.subs) >= maxTopics:
		return nil, fmt.Errorf("subscribing to %q: %d topics are already subscribed", topic, maxTopics)
	}
	s := &subscription{
		b:       b,
		topic:   topic,
		handler: handler,
		opts:    slices.Clone(opts),
		options: broker.NewSubscribeOptions(opts...),
		state:   guard.NewStateTracker("not subscribed yet"),
	}
	b.subs[topic] = s
	b.wakeRun()
	return s, nil
}

// Options returns the options that Subscribe was given.
func (s *subscription) Options() broker.SubscribeOptions { return s.options }

// Topic returns the topic.
func (s *subscription) Topic() string { return s.topic }

// Unsubscribe stops the delivery of events at once and returns. Run unsubscribes at
// the inner broker. It never fails.
func (s *subscription) Unsubscribe() error {
	b := s.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.cancelled {
		return nil
	}
	s.cancelled = true
	delete(b.subs, s.topic)
	if s.active != nil {
		b.ending = append(b.ending, s.active)
		s.active = nil
	}
	b.wakeRun()
	return nil
}

// Rejected is the error of a handler that rejects an event. The handler counts and logs it
// itself. A publisher over http gets its text with its status; over NATS nobody is told.
type Rejected interface {
	error
	StatusCode() int
}

// deliver is the handler that the inner broker calls. Its error is Rejected.
func (s *subscription) deliver(e broker.Event) error {
	b := s.b
	b.mu.Lock()
	cancelled := s.cancelled
	b.mu.Unlock()
	if cancelled {
		return nil
	}
	b.counters.received.Add(1)
	defer func() {
		if p := recover(); p != nil {
			b.counters.panics.Add(1)
			b.warn("event handler panicked", s.topic, fmt.Errorf("panic: %v", p))
		}
	}()
	err := s.handler(e)
	if rejected, ok := errors.AsType[Rejected](err); ok {
		return rejected
	}
	if err != nil {
		b.counters.handlerErrors.Add(1)
		b.warn("event handler failed", s.topic, err)
	}
	return nil
}
