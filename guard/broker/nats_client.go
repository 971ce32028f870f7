package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go-micro.dev/v4/broker"
)

// natsBroker is the NATS plugin with its client's callbacks heard.
type natsBroker struct {
	broker.Broker // the plugin
	link          *link
	dial          *natsDialer
	shown         string // the addresses without secrets

	mu   sync.Mutex
	conn *nats.Conn                    // guarded by mu; the client, once it was connected
	last map[*nats.Subscription]uint64 // guarded by mu; what each that was slow has dropped
}

// Init changes nothing: everything is fixed at construction. The plugin would change
// its options while they are used.
func (n *natsBroker) Init(...broker.Option) error { return nil }

// Address answers the configured servers. The plugin would show the password.
func (n *natsBroker) Address() string { return n.shown }

// Connect starts the client, which then connects for ever.
func (n *natsBroker) Connect() error {
	n.dial.renew()
	return n.Broker.Connect()
}

// Disconnect flushes and closes. The client may hold its lock while it dials or
// waits for a server that says nothing, until the link's hurry takes its connections
// away.
func (n *natsBroker) Disconnect() error {
	defer n.dial.abort()
	return n.Broker.Disconnect()
}

// Subscribe subscribes and, if the server is there, waits for its word: a refusal
// for want of permission is otherwise told to a callback alone.
func (n *natsBroker) Subscribe(topic string, handler broker.Handler, opts ...broker.SubscribeOption) (broker.Subscriber, error) {
	n.mu.Lock()
	conn := n.conn
	n.mu.Unlock()
	if conn == nil || !conn.IsConnected() {
		return n.Broker.Subscribe(topic, handler, opts...)
	}
	before := conn.LastError()
	sub, err := n.Broker.Subscribe(topic, handler, opts...)
	if err != nil {
		return nil, err
	}
	if conn.FlushTimeout(n.dial.timeout/2) != nil {
		return sub, nil // the link tells; the client subscribes again by itself
	}
	if after := conn.LastError(); !errors.Is(after, before) && deniedTopic(after) == topic {
		_ = sub.Unsubscribe()
		return nil, after
	}
	return sub, nil
}

func (n *natsBroker) onUp(c *nats.Conn) {
	n.mu.Lock()
	n.conn = c
	n.mu.Unlock()
	n.link.up()
}

func (n *natsBroker) onDown(_ *nats.Conn, err error) { n.link.down(err) }

// onAsync hears of events that were dropped and of permissions that are missing.
func (n *natsBroker) onAsync(_ *nats.Conn, sub *nats.Subscription, err error) {
	b := n.link.bound()
	if errors.Is(err, nats.ErrSlowConsumer) && sub != nil {
		n.mu.Lock()
		n.last[sub] += 0 // from now on it is asked
		n.mu.Unlock()
		b.warn("events are dropped: they come faster than they are handled", sub.Subject, err)
		return
	}
	if topic := deniedTopic(err); topic != "" {
		b.lose(topic, err)
	}
	b.warn("the broker reports an error", "", err)
}

// drops adds up what all subscriptions dropped. A subscription that was closed
// keeps the last count that it gave.
func (n *natsBroker) drops() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	var sum uint64
	for sub := range n.last {
		if d, err := sub.Dropped(); err == nil {
			n.last[sub] = uint64(d)
		}
		sum += n.last[sub]
	}
	return sum
}

// malformed counts what was no event of go-micro; the plugin has logged it.
func (n *natsBroker) malformed(broker.Event) error {
	n.link.bound().counts.refused.Add(1)
	return nil
}

var subscriptionTo = regexp.MustCompile(`Subscription to "(\S+)"`)

// deniedTopic answers the topic that the server refused to subscribe, or nothing.
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

// lose notes that a live subscription was taken away, so that Run makes it anew.
func (b *Broker) lose(topic string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.subs[topic]
	if s == nil || s.live == nil {
		return
	}
	b.leaving = append(b.leaving, s.live)
	s.live = nil
	s.health.Record(fmt.Errorf("subscribing to %q: %w", topic, err))
	b.kick()
}

// natsDialer makes connections that can be taken away all at once.
type natsDialer struct {
	timeout time.Duration

	mu   sync.Mutex
	life context.Context    // guarded by mu
	end  context.CancelFunc // guarded by mu
}

func newNATSDialer(timeout time.Duration) *natsDialer {
	d := &natsDialer{timeout: timeout}
	d.life, d.end = context.WithCancel(context.Background())
	return d
}

// renew allows connections again after an abort.
func (d *natsDialer) renew() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end()
	d.life, d.end = context.WithCancel(context.Background())
}

// abort ends every connection and every attempt to make one.
func (d *natsDialer) abort() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end()
}

// Dial connects within the timeout.
func (d *natsDialer) Dial(network, address string) (net.Conn, error) {
	d.mu.Lock()
	life := d.life
	d.mu.Unlock()
	dialer := net.Dialer{Timeout: d.timeout}
	conn, err := dialer.DialContext(life, network, address)
	if err != nil {
		return nil, err
	}
	c := &natsConn{Conn: conn}
	c.release = context.AfterFunc(life, func() { _ = conn.Close() })
	return c, nil
}

type natsConn struct {
	net.Conn
	release func() bool
}

func (c *natsConn) Close() error {
	c.release()
	return c.Conn.Close()
}
