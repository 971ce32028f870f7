package broker

import (
	"cmp"
	"errors"
	"fmt"
	"sync"

	"github.com/microhq/monitor-srv/guard"
)

// connection is the state of an inner broker's connection that may break after
// Connect has returned.
type connection struct {
	name  string
	state *guard.StateTracker

	// dropped returns the number of events that the client has dropped, and interrupt
	// ends calls of the inner broker that wait for the network. Both may be nil and
	// are set before attach.
	dropped   func() uint64
	interrupt func()

	mu     sync.Mutex
	broker *Broker // guarded by mu; nil until attach
	lost   error   // guarded by mu; set while the Broker has to connect again
}

var errDisconnected = errors.New("disconnected")

func newConnection(name string) *connection {
	return &connection{name: name, state: guard.NewStateTracker("broker " + name + ": not connected yet")}
}

// attach sets the Broker that owns the connection.
func (c *connection) attach(b *Broker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broker = b
}

func (c *connection) owner() *Broker {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broker
}

// setUp records that the connection is up.
func (c *connection) setUp() {
	c.state.Record(nil)
	b := c.owner()
	if b == nil {
		return
	}
	if _, ok := b.limit.Allow("connected"); ok {
		b.cfg.Logger.Info("broker is connected", "broker", c.name)
	}
}

// setDown records that the connection is down and that the inner broker reconnects.
func (c *connection) setDown(err error) {
	if err == nil {
		err = errDisconnected
	}
	c.state.Record(fmt.Errorf("broker %s: %w", c.name, guard.Shorten(err)))
	if b := c.owner(); b != nil {
		b.warn("broker is disconnected", "", guard.Shorten(err))
	}
}

// setLost records that the connection is down and that the inner broker does not
// reconnect: the Broker has to connect and subscribe again.
func (c *connection) setLost(err error) {
	c.setDown(err)
	c.mu.Lock()
	c.lost = cmp.Or(err, errDisconnected)
	b := c.broker
	c.mu.Unlock()
	if b != nil {
		b.wakeRun()
	}
}

// takeLoss returns and clears the error of setLost. It returns nil if the connection
// is not lost.
func (c *connection) takeLoss() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.lost
	c.lost = nil
	return err
}
