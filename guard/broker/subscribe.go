package broker

import (
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
	health  *guard.StateTracker

	live broker.Subscriber // guarded by Broker.mu; nil while the inner broker has none
	gone bool              // guarded by Broker.mu; Unsubscribe was called
}

// Subscribe notes that handler shall have the events of topic and returns at once;
// Run subscribes until it holds. It fails only if the topic is subscribed already
// or there are too many.
//
// A handler's error is counted and logged, and so is its panic; neither reaches
// the inner broker, which would only log it once more for each event.
func (b *Broker) Subscribe(topic string, handler broker.Handler, opts ...broker.SubscribeOption) (broker.Subscriber, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.subs[topic] != nil:
		return nil, fmt.Errorf("subscribing to %q: it is subscribed already: unsubscribe first", topic)
	case len(b.subs) >= maxTopics:
		return nil, fmt.Errorf("subscribing to %q: %d topics are subscribed already", topic, maxTopics)
	}
	s := &subscription{
		b:       b,
		topic:   topic,
		handler: handler,
		opts:    slices.Clone(opts),
		options: broker.NewSubscribeOptions(opts...),
		health:  guard.NewStateTracker("not subscribed yet"),
	}
	b.subs[topic] = s
	b.kick()
	return s, nil
}

// Options answers the options that Subscribe was given.
func (s *subscription) Options() broker.SubscribeOptions { return s.options }

// Topic answers the topic.
func (s *subscription) Topic() string { return s.topic }

// Unsubscribe stops the handing over of events at once and returns; Run tells the
// inner broker. It never fails.
func (s *subscription) Unsubscribe() error {
	b := s.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.gone {
		return nil
	}
	s.gone = true
	delete(b.subs, s.topic)
	if s.live != nil {
		b.leaving = append(b.leaving, s.live)
		s.live = nil
	}
	b.kick()
	return nil
}

// receive is the handler that the inner broker calls.
func (s *subscription) receive(e broker.Event) error {
	b := s.b
	b.mu.Lock()
	gone := s.gone
	b.mu.Unlock()
	if gone {
		return nil
	}
	b.counts.received.Add(1)
	defer func() {
		if p := recover(); p != nil {
			b.counts.panics.Add(1)
			b.warn("an event handler panicked", s.topic, fmt.Errorf("panic: %v", p))
		}
	}()
	if err := s.handler(e); err != nil {
		b.counts.handlerErrors.Add(1)
		b.warn("an event handler failed", s.topic, err)
	}
	return nil
}
