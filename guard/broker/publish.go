package broker

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/transport/headers"

	"github.com/microhq/monitor-srv/guard"
)

// BrokerStats counts what went through a Broker since it was made.
type Stats struct {
	// Received counts events handed to a handler.
	Received uint64
	// HandlerErrors and HandlerPanics count how handlers ended.
	HandlerErrors, HandlerPanics uint64
	// PublishErrors counts calls of Publish that failed.
	PublishErrors uint64
	// Refused counts what was turned away before it was an event: bodies too large
	// or too slow, no event, too many connections.
	Refused uint64
	// Dropped counts events that NATS delivered faster than handlers took them.
	Dropped uint64
}

type brokerCounts struct {
	received, handlerErrors, panics, publishErrors, refused atomic.Uint64
}

// Stats answers the counts.
func (b *Broker) Stats() Stats {
	s := Stats{
		Received:      b.counts.received.Load(),
		HandlerErrors: b.counts.handlerErrors.Load(),
		HandlerPanics: b.counts.panics.Load(),
		PublishErrors: b.counts.publishErrors.Load(),
		Refused:       b.counts.refused.Load(),
	}
	if b.link != nil && b.link.drops != nil {
		s.Dropped = b.link.drops()
	}
	return s
}

// Publish hands msg to the inner broker and waits for it, at most the timeout or
// the context given by broker.PublishContext. It fails at once when too many calls
// are under way, which means that the broker is stuck. After a timeout the message
// may still go out, and msg must not be changed.
func (b *Broker) Publish(topic string, msg *broker.Message, opts ...broker.PublishOption) error {
	err := b.publish(topic, msg, opts)
	if err != nil {
		b.counts.publishErrors.Add(1)
		return fmt.Errorf("publishing to %q: %w", topic, guard.Shorten(err))
	}
	return nil
}

func (b *Broker) publish(topic string, msg *broker.Message, opts []broker.PublishOption) error {
	var o broker.PublishOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.Context == nil {
		o.Context = context.Background()
	}
	select {
	case b.slots <- struct{}{}:
	default:
		return fmt.Errorf("%d events are on their way already", cap(b.slots))
	}
	done := make(chan error, 1)
	msg = withTopic(topic, msg)
	if !b.task(func() {
		defer func() { <-b.slots }()
		done <- guard.CatchPanic(func() error { return b.inner.Publish(topic, msg, opts...) })
	}) {
		<-b.slots
		return fmt.Errorf("broker %s has stopped", b.inner.String())
	}
	timer := time.NewTimer(b.cfg.Timeout)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("not done within %v", b.cfg.Timeout)
	case <-o.Context.Done():
		return o.Context.Err()
	}
}

// withTopic gives the message with the header by which go-micro's server finds the
// subscriber. The http broker sets it, the NATS plugin does not.
func withTopic(topic string, msg *broker.Message) *broker.Message {
	if msg.Header[headers.Message] != "" {
		return msg
	}
	header := make(map[string]string, len(msg.Header)+1)
	maps.Copy(header, msg.Header)
	header[headers.Message] = topic
	return &broker.Message{Header: header, Body: msg.Body}
}

// task runs fn in a goroutine that Run waits for. It tells whether it did: after
// the end of Run there are no more.
func (b *Broker) task(fn func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return false
	}
	b.tasks.Go(fn)
	return true
}
