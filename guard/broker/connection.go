package broker

import (
	"cmp"
	"errors"
	"sync"

	"github.com/microhq/monitor-srv/connlimit"
	"github.com/microhq/monitor-srv/guard"
)

// connection is the state of an inner broker's connection that may break after
// Connect has returned.
type connection struct {
	// dropped returns the number of events that the client has dropped. It may be nil
	// and is set before attach.
	dropped func() uint64
	// conns are the connections of the port. It is nil for a broker without a port.
	conns *connlimit.Places

	broker *Broker // set by attach, before the inner broker is used
	state  *guard.StateTracker

	mu   sync.Mutex
	lost error // guarded by mu; set while the Broker has to connect again
}

var (
	errDisconnected = errors.New("disconnected")
	errNotConnected = errors.New("not connected")
	errStopped      = errors.New("stopped")
)

// attach sets the Broker that owns the connection.
func (c *connection) attach(b *Broker) {
	c.broker = b
	c.state = guard.NewStateTracker(b.wrap(errNotConnected).Error())
}

// setUp records that the connection is up.
func (c *connection) setUp() {
	c.state.Record(nil)
	b := c.broker
	if _, ok := b.limit.Allow("connected"); ok {
		b.cfg.Logger.Info("broker is connected", "broker", b.inner.String(), "address", b.Address())
	}
}

// setDown records that the connection is down and that the inner broker reconnects.
func (c *connection) setDown(err error) {
	if err == nil {
		err = errDisconnected
	}
	c.state.Record(c.broker.wrap(err))
	c.broker.warn("broker is disconnected", "", guard.Shorten(err))
}

// setLost records that the connection is down and that the inner broker does not
// reconnect: the Broker has to connect and subscribe again.
func (c *connection) setLost(err error) {
	c.setDown(err)
	c.mu.Lock()
	c.lost = cmp.Or(err, errDisconnected)
	c.mu.Unlock()
	c.broker.wakeRun()
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
