package broker

import (
	"cmp"
	"errors"
	"fmt"
	"sync"

	"github.com/microhq/monitor-srv/guard"
)

// link is what an inner broker tells about a connection that may break after
// Connect has returned.
type link struct {
	name   string
	health *guard.StateTracker

	mu     sync.Mutex
	broker *Broker // guarded by mu; nil until bind
	lost   error   // guarded by mu; why the connection will not come back by itself

	// drops counts the events that came too fast, and hurry makes calls of the inner
	// broker end that wait for the network. Both may be nil and are set before bind.
	drops func() uint64
	hurry func()
}

func newLink(name string) *link {
	return &link{name: name, health: guard.NewStateTracker("broker " + name + ": not connected yet")}
}

// bind names the broker that is told when the link needs it.
func (l *link) bind(b *Broker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broker = b
}

func (l *link) bound() *Broker {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broker
}

// up says that the connection stands.
func (l *link) up() {
	l.health.Record(nil)
	b := l.bound()
	if b == nil {
		return
	}
	if _, ok := b.limit.Allow("connected"); ok {
		b.cfg.Logger.Info("broker is connected", "broker", l.name)
	}
}

// down says that the connection does not stand, and that it is being repaired.
func (l *link) down(err error) {
	if err == nil {
		err = errors.New("disconnected")
	}
	l.health.Record(fmt.Errorf("broker %s: %w", l.name, guard.Shorten(err)))
	if b := l.bound(); b != nil {
		b.warn("broker is not connected", "", guard.Shorten(err))
	}
}

// gone says that the connection has ended for good: the Broker has to connect
// again and to subscribe again.
func (l *link) gone(err error) {
	l.down(err)
	l.mu.Lock()
	l.lost = cmp.Or(err, errors.New("disconnected"))
	b := l.broker
	l.mu.Unlock()
	if b != nil {
		b.kick()
	}
}

// takeLost answers and forgets why the connection is gone; nil if it is not.
func (l *link) takeLost() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.lost
	l.lost = nil
	return err
}
