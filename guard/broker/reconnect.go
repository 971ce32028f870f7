package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/guard"
)

// Run connects, subscribes and retries until ctx ends. Then it ends the
// subscriptions and the connection, and returns when its goroutines have ended. It
// always returns nil: an unavailable broker is a State, not an error.
func (b *Broker) Run(ctx context.Context) error {
	b.mu.Lock()
	b.running = true
	b.mu.Unlock()
	var retry guard.Backoff
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		wait := b.cfg.Check
		if b.reconcile() {
			retry.Reset()
		} else {
			wait = retry.Next(b.cfg.RetryMin, b.cfg.RetryMax)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-b.wake:
		case <-timer.C:
		}
	}
	b.mu.Lock()
	b.wanted = false
	b.requests++
	b.mu.Unlock()
	b.reconcile()
	b.mu.Lock()
	b.running = false
	b.mu.Unlock()
	b.tasks.End()
	return nil
}

// reconcile makes connection and subscriptions as wanted. It returns false if it has
// to be repeated.
func (b *Broker) reconcile() bool {
	b.mu.Lock()
	wanted, request, connected := b.wanted, b.requests, b.connected
	b.mu.Unlock()
	defer b.markHandled(request)
	if err := b.conn.takeLoss(); err != nil && connected {
		b.disconnect(b.wrap(err))
		connected = false
	}
	b.unsubscribe(!wanted)
	if !wanted {
		if connected {
			b.disconnect(b.wrap(errDisconnected))
		}
		return true
	}
	if !connected && !b.connect() {
		return false
	}
	return b.subscribe()
}

// markHandled wakes the callers of Connect and Disconnect whose requests are handled.
func (b *Broker) markHandled(request uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handled = request
	close(b.reconciled)
	b.reconciled = make(chan struct{})
}

func (b *Broker) connect() bool {
	err := guard.CatchPanic(b.inner.Connect)
	if err != nil {
		b.state.Record(b.wrap(err))
		b.warn("connecting to the broker failed", "", guard.Shorten(err))
		return false
	}
	b.state.Record(nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connected = true
	return true
}

// disconnect ends the connection and with it all active subscriptions.
func (b *Broker) disconnect(reason error) {
	if err := guard.CatchPanic(b.inner.Disconnect); err != nil {
		b.warn("disconnecting from the broker failed", "", err)
	}
	b.state.Record(reason)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connected = false
	b.ending = nil
	for _, s := range b.subs {
		s.active = nil
		s.state.Record(reason)
	}
}

// unsubscribe ends the active subscriptions that are not wanted, or all.
func (b *Broker) unsubscribe(all bool) {
	b.mu.Lock()
	ending := b.ending
	b.ending = nil
	if all {
		for _, s := range b.subs {
			if s.active != nil {
				ending = append(ending, s.active)
				s.active = nil
			}
		}
	}
	b.mu.Unlock()
	for _, active := range ending {
		if err := guard.CatchPanic(active.Unsubscribe); err != nil {
			b.warn("unsubscribing failed", active.Topic(), err)
		}
	}
}

// subscribe activates the wanted subscriptions. It returns false if one fails.
func (b *Broker) subscribe() bool {
	b.mu.Lock()
	subs := slices.Collect(maps.Values(b.subs))
	b.mu.Unlock()
	ok := true
	for _, s := range subs {
		ok = b.activate(s) && ok
	}
	return ok
}

// activate subscribes at the inner broker unless the subscription is active.
func (b *Broker) activate(s *subscription) bool {
	b.mu.Lock()
	needed := s.active == nil && !s.cancelled
	b.mu.Unlock()
	if !needed {
		return true
	}
	var active broker.Subscriber
	err := guard.CatchPanic(func() (err error) {
		active, err = b.inner.Subscribe(s.topic, s.deliver, s.opts...)
		return err
	})
	if err != nil {
		s.state.Record(fmt.Errorf("subscribing to %q: %w", s.topic, guard.Shorten(err)))
		b.warn("subscribing failed", s.topic, guard.Shorten(err))
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.cancelled { // Unsubscribe was called meanwhile
		b.ending = append(b.ending, active)
		b.wakeRun()
		return true
	}
	s.active = active
	s.state.Record(nil)
	return true
}

// resubscribe ends the subscriptions that the broker has denied with err. Run repeats
// them.
func (b *Broker) resubscribe(denied func(topic string) bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for topic, s := range b.subs {
		if s.active == nil || !denied(topic) {
			continue
		}
		b.ending = append(b.ending, s.active)
		s.active = nil
		s.state.Record(fmt.Errorf("subscribing to %q: %w", topic, err))
		b.wakeRun()
	}
}
