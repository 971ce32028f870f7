package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go-micro.dev/v4/broker"
)

// natsBroker speaks the protocol of go-micro's NATS plugin: a message is the JSON of a
// broker.Message. Its client connects and reconnects by itself.
type natsBroker struct {
	conn    *connection
	options nats.Options
	timeout time.Duration
	address string // of all servers, without secrets

	mu        sync.Mutex
	client    *nats.Conn                    // guarded by mu; nil while not connected
	droppedBy map[*nats.Subscription]uint64 // guarded by mu; number of events that each slow subscription has dropped
	errors    uint64                        // guarded by mu; number of other asynchronous errors
}

var _ broker.Broker = (*natsBroker)(nil)

// Init has no effect: all options are fixed at construction.
func (n *natsBroker) Init(...broker.Option) error { return nil }

func (n *natsBroker) Options() broker.Options { return *broker.NewOptions(broker.Addrs(n.address)) }
func (n *natsBroker) Address() string         { return n.address }
func (n *natsBroker) String() string          { return "nats" }

// dialFunc is a nats.CustomDialer.
type dialFunc func(network, address string) (net.Conn, error)

func (f dialFunc) Dial(network, address string) (net.Conn, error) { return f(network, address) }

// Connect starts a client, which goes on by itself if no server answers. However many
// servers there are, it takes no longer than the timeout.
func (n *natsBroker) Connect() error {
	var returned atomic.Bool
	var newest net.Conn
	limit := time.Now().Add(n.timeout / 2)
	options := n.options
	options.CustomDialer = dialFunc(func(network, address string) (conn net.Conn, err error) {
		if newest != nil {
			_ = newest.Close() // the client leaves a connection open that the server has refused
		}
		dialer := net.Dialer{Timeout: options.Timeout}
		if !returned.Load() {
			dialer.Deadline = limit
		}
		if newest, err = dialer.Dial(network, address); err != nil {
			n.conn.setDown(err)
		}
		return newest, err
	})
	client, err := options.Connect()
	returned.Store(true)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.client = client
	return err
}

// Disconnect hands out what has arrived and closes.
func (n *natsBroker) Disconnect() error {
	client := n.current()
	if client == nil {
		return nil
	}
	closed := client.StatusChanged(nats.CLOSED)
	if client.Drain() == nil {
		select {
		case <-closed:
		case <-time.After(n.timeout / 2):
		}
	}
	client.Close()
	return nil
}

func (n *natsBroker) current() *nats.Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.client
}

// Publish waits until the server has received the message. It fails at once while the
// client is not connected: a message that waits for the connection is old by then.
func (n *natsBroker) Publish(topic string, msg *broker.Message, opts ...broker.PublishOption) error {
	client := n.current()
	if client == nil || !client.IsConnected() {
		return errNotConnected
	}
	body, err := json.Marshal(msg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(publishContext(opts), n.timeout)
	defer cancel()
	before := client.LastError()
	if err := client.Publish(topic, body); err != nil {
		return err
	}
	if err := client.FlushWithContext(ctx); err != nil {
		return err
	}
	return denial(client, before, "Publish", topic)
}

// Subscribe subscribes. If the server is connected, it waits for its answer, because a
// missing permission is otherwise reported to a callback only.
func (n *natsBroker) Subscribe(topic string, handler broker.Handler, opts ...broker.SubscribeOption) (broker.Subscriber, error) {
	client := n.current()
	if client == nil {
		return nil, errNotConnected
	}
	options := broker.NewSubscribeOptions(opts...)
	before := client.LastError()
	sub, err := client.QueueSubscribe(topic, options.Queue, n.receiver(handler))
	if err != nil {
		return nil, err
	}
	_ = sub.SetPendingLimits(maxPendingEvents, maxPendingBytes)
	if client.IsConnected() {
		_ = client.FlushTimeout(n.timeout / 2) // if it fails, the client subscribes again by itself
	}
	if err := denial(client, before, "Subscription", topic); err != nil {
		_ = sub.Unsubscribe()
		return nil, err
	}
	return &active{topic, options, sub.Drain}, nil // which hands out what has arrived
}

// receiver returns the callback that gives messages to a handler.
func (n *natsBroker) receiver(handler broker.Handler) nats.MsgHandler {
	return func(msg *nats.Msg) {
		m := new(broker.Message)
		if err := json.Unmarshal(msg.Data, m); err != nil {
			n.conn.broker.counters.refused.Add(1)
			n.conn.broker.warn("message is not an event", msg.Subject, err)
			return
		}
		_ = handler(event{msg.Subject, m})
	}
}

// onError is called for dropped events and missing permissions, among others.
func (n *natsBroker) onError(_ *nats.Conn, sub *nats.Subscription, err error) {
	b := n.conn.broker
	n.mu.Lock()
	slow := errors.Is(err, nats.ErrSlowConsumer) && sub != nil
	if slow {
		n.droppedBy[sub] += 0 // dropped counts it from now on
	} else {
		n.errors++
	}
	n.mu.Unlock()
	if slow {
		b.warn("dropping events: they arrive faster than they are handled", sub.Subject, err)
		return
	}
	b.resubscribe(func(topic string) bool { return denies(err, "Subscription", topic) }, err)
	b.warn("broker error", "", err)
}

// dropped returns the number of events that all subscriptions have dropped, and of
// other errors. A closed subscription counts with its last number.
func (n *natsBroker) dropped() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	sum := n.errors
	for sub := range n.droppedBy {
		if d, err := sub.Dropped(); err == nil {
			n.droppedBy[sub] = uint64(d)
		}
		sum += n.droppedBy[sub]
	}
	return sum
}

// denial returns the newest error of the client if it is not the one before and denies
// this.
func denial(client *nats.Conn, before error, kind, topic string) error {
	if err := client.LastError(); !errors.Is(err, before) && denies(err, kind, topic) {
		return err
	}
	return nil
}

// denies reports whether the server denies a Publish or a Subscription to the topic.
func denies(err error, kind, topic string) bool {
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), fmt.Sprintf("%s to %q", kind, topic))
}
