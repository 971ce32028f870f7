package broker

import (
	"errors"
	"regexp"
	"sync"

	"github.com/nats-io/nats.go"
	"go-micro.dev/v4/broker"
)

// natsBroker is the NATS plugin with callbacks for the events of its client.
type natsBroker struct {
	broker.Broker // the plugin
	conn          *connection
	dialer        *natsDialer
	address       string // of all servers, without secrets

	mu        sync.Mutex
	client    *nats.Conn                    // guarded by mu; nil until the first connection
	droppedBy map[*nats.Subscription]uint64 // guarded by mu; number of events that each slow subscription has dropped
}

// Init has no effect: all options are fixed at construction. The plugin would change
// its options while they are in use.
func (n *natsBroker) Init(...broker.Option) error { return nil }

// Address returns the configured servers without passwords.
func (n *natsBroker) Address() string { return n.address }

// Connect starts the client, which connects and reconnects by itself.
func (n *natsBroker) Connect() error {
	n.dialer.renew()
	return n.Broker.Connect()
}

// Disconnect flushes and closes. The client holds its lock while it dials or waits for
// a server that does not answer; then abort ends the wait.
func (n *natsBroker) Disconnect() error {
	defer n.dialer.abort()
	return n.Broker.Disconnect()
}

// Subscribe subscribes. If the server is connected, it waits for its answer, because a
// missing permission is otherwise reported to a callback only.
func (n *natsBroker) Subscribe(topic string, handler broker.Handler, opts ...broker.SubscribeOption) (broker.Subscriber, error) {
	n.mu.Lock()
	client := n.client
	n.mu.Unlock()
	if client == nil || !client.IsConnected() {
		return n.Broker.Subscribe(topic, handler, opts...)
	}
	before := client.LastError()
	sub, err := n.Broker.Subscribe(topic, handler, opts...)
	if err != nil {
		return nil, err
	}
	if client.FlushTimeout(n.dialer.timeout/2) != nil {
		return sub, nil // the client reports it and subscribes again by itself
	}
	if after := client.LastError(); !errors.Is(after, before) && deniedTopic(after) == topic {
		_ = sub.Unsubscribe()
		return nil, after
	}
	return sub, nil
}

func (n *natsBroker) onConnected(c *nats.Conn) {
	n.mu.Lock()
	n.client = c
	n.mu.Unlock()
	n.conn.setUp()
}

func (n *natsBroker) onDisconnected(_ *nats.Conn, err error) { n.conn.setDown(err) }

// onError is called for dropped events and missing permissions, among others.
func (n *natsBroker) onError(_ *nats.Conn, sub *nats.Subscription, err error) {
	b := n.conn.owner()
	if errors.Is(err, nats.ErrSlowConsumer) && sub != nil {
		n.mu.Lock()
		n.droppedBy[sub] += 0 // dropped counts it from now on
		n.mu.Unlock()
		b.warn("dropping events: they arrive faster than they are handled", sub.Subject, err)
		return
	}
	if topic := deniedTopic(err); topic != "" {
		b.resubscribe(topic, err)
	}
	b.warn("broker error", "", err)
}

// dropped returns the number of events that all subscriptions have dropped. A closed
// subscription counts with its last number.
func (n *natsBroker) dropped() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	var sum uint64
	for sub := range n.droppedBy {
		if d, err := sub.Dropped(); err == nil {
			n.droppedBy[sub] = uint64(d)
		}
		sum += n.droppedBy[sub]
	}
	return sum
}

// onMalformed counts messages that are not events of go-micro. The plugin logs them.
func (n *natsBroker) onMalformed(broker.Event) error {
	n.conn.owner().counters.refused.Add(1)
	return nil
}

var subscriptionTo = regexp.MustCompile(`Subscription to "(\S+)"`)

// deniedTopic returns the topic of a subscription that the server denied, or "".
func deniedTopic(err error) string {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return ""
	}
	found := subscriptionTo.FindStringSubmatch(err.Error())
	if found == nil {
		return ""
	}
	return found[1]
}
