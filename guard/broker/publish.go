package broker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/transport/headers"

	"github.com/microhq/monitor-srv/connlimit"
	"github.com/microhq/monitor-srv/guard"
)

// Stats counts the events of a Broker since New.
type Stats struct {
	// Received counts events delivered to a handler.
	Received uint64
	// HandlerErrors and HandlerPanics count the failures of handlers.
	HandlerErrors, HandlerPanics uint64
	// PublishErrors counts calls of Publish that failed.
	PublishErrors uint64
	// Refused counts refused requests and connections: bodies that are too large, too
	// slow or not an event, and connections while all are being served. Taken counts
	// connections that were closed to make room for a new one.
	Refused, Taken uint64
	// Dropped counts events that NATS delivered faster than the handlers handled them, and
	// errors that NATS reported later than the call that caused them.
	Dropped uint64
}

type counters struct {
	received, handlerErrors, panics, publishErrors, refused atomic.Uint64
}

// Stats returns the current counts.
func (b *Broker) Stats() Stats {
	s := Stats{
		Received:      b.counters.received.Load(),
		HandlerErrors: b.counters.handlerErrors.Load(),
		HandlerPanics: b.counters.panics.Load(),
		PublishErrors: b.counters.publishErrors.Load(),
		Refused:       b.counters.refused.Load(),
	}
	if b.conn != nil && b.conn.dropped != nil {
		s.Dropped = b.conn.dropped()
	}
	conns := b.Connections()
	s.Refused += conns.Refused
	s.Taken = conns.Taken
	return s
}

// Connections returns the state of the connections of the broker's port, or the zero
// State if it has none.
func (b *Broker) Connections() connlimit.State {
	if b.conn == nil || b.conn.conns == nil {
		return connlimit.State{}
	}
	return b.conn.conns.State()
}

// Publish publishes msg by the inner broker. It waits at most for the timeout and for
// the context given by broker.PublishContext. It fails at once if too many calls are
// in flight. After a timeout the message may still be sent, and msg must not be
// changed.
func (b *Broker) Publish(topic string, msg *broker.Message, opts ...broker.PublishOption) error {
	err := b.publish(topic, msg, opts)
	if err != nil {
		b.counters.publishErrors.Add(1)
		return fmt.Errorf("publishing to %q: %w", topic, guard.Shorten(err))
	}
	return nil
}

func (b *Broker) publish(topic string, msg *broker.Message, opts []broker.PublishOption) error {
	ctx := publishContext(opts)
	select {
	case b.slots <- struct{}{}:
	default:
		return fmt.Errorf("%d events are already in flight", cap(b.slots))
	}
	done := make(chan error, 1)
	msg = withTopic(topic, msg)
	if !b.tasks.Go(func() {
		defer func() { <-b.slots }()
		done <- guard.CatchPanic(func() error { return b.inner.Publish(topic, msg, opts...) })
	}) {
		<-b.slots
		return b.wrap(errStopped)
	}
	timer := time.NewTimer(b.cfg.Timeout)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("not done within %v", b.cfg.Timeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// publishContext returns the context among the options.
func publishContext(opts []broker.PublishOption) context.Context {
	var o broker.PublishOptions
	for _, opt := range opts {
		opt(&o)
	}
	return cmp.Or(o.Context, context.Background())
}

// withTopic returns the message with the header by which go-micro's server finds the
// subscriber. The http broker sets it; the NATS plugin does not.
func withTopic(topic string, msg *broker.Message) *broker.Message {
	if msg.Header[headers.Message] != "" {
		return msg
	}
	header := make(map[string]string, len(msg.Header)+1)
	maps.Copy(header, msg.Header)
	header[headers.Message] = topic
	return &broker.Message{Header: header, Body: msg.Body}
}
