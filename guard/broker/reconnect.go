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
// subscriptions and the connection and returns when its goroutines have ended. It
// always returns nil: a broker that is away is a State, not an error.
func (b *Broker) Run(ctx context.Context) error {
	b.mu.Lock()
	b.running = true
	b.mu.Unlock()
	defer context.AfterFunc(ctx, func() { b.hurry() })()
	var retry guard.Backoff
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		wait := b.cfg.Check
		if b.pass() {
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
	b.want = false
	b.wishes++
	b.mu.Unlock()
	b.pass()
	b.mu.Lock()
	b.running, b.ended = false, true
	b.mu.Unlock()
	b.tasks.Wait()
	return nil
}

// pass brings the inner broker to the wishes and tells whether it holds them all.
func (b *Broker) pass() bool {
	b.mu.Lock()
	want, wish, connected := b.want, b.wishes, b.connected
	b.mu.Unlock()
	defer b.finish(wish)
	if err := b.link.takeLost(); err != nil && connected {
		b.disconnect(fmt.Errorf("broker %s: %w", b.inner.String(), guard.Shorten(err)))
		connected = false
	}
	b.unsubscribe(want)
	if !want {
		if connected {
			b.disconnect(fmt.Errorf("broker %s: disconnected", b.inner.String()))
		}
		return true
	}
	if !connected && !b.connect() {
		return false
	}
	return b.subscribe()
}

// finish tells those who wait that the wish was seen.
func (b *Broker) finish(wish uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.served = wish
	close(b.passed)
	b.passed = make(chan struct{})
}

func (b *Broker) connect() bool {
	err := guard.CatchPanic(b.inner.Connect)
	if err != nil {
		b.health.Record(fmt.Errorf("broker %s: %w", b.inner.String(), guard.Shorten(err)))
		b.warn("connecting to the broker failed", "", guard.Shorten(err))
		return false
	}
	b.health.Record(nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connected = true
	return true
}

// disconnect ends the connection, with the live subscriptions on it.
func (b *Broker) disconnect(why error) {
	if err := guard.CatchPanic(b.inner.Disconnect); err != nil {
		b.warn("disconnecting from the broker failed", "", err)
	}
	b.health.Record(why)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connected = false
	b.leaving = nil
	for _, s := range b.subs {
		s.live = nil
		s.health.Record(why)
	}
}

// unsubscribe ends the live subscriptions that are not wanted, or all.
func (b *Broker) unsubscribe(connected bool) {
	b.mu.Lock()
	leaving := b.leaving
	b.leaving = nil
	if !connected {
		for _, s := range b.subs {
			if s.live != nil {
				leaving = append(leaving, s.live)
				s.live = nil
			}
		}
	}
	b.mu.Unlock()
	for _, live := range leaving {
		if err := guard.CatchPanic(live.Unsubscribe); err != nil {
			b.warn("unsubscribing failed", live.Topic(), err)
		}
	}
}

// subscribe makes the wanted subscriptions that are not live.
func (b *Broker) subscribe() bool {
	b.mu.Lock()
	subs := slices.Collect(maps.Values(b.subs))
	b.mu.Unlock()
	all := true
	for _, s := range subs {
		all = b.subscribeTo(s) && all
	}
	return all
}

func (b *Broker) subscribeTo(s *subscription) bool {
	b.mu.Lock()
	needed := s.live == nil && !s.gone
	b.mu.Unlock()
	if !needed {
		return true
	}
	var live broker.Subscriber
	err := guard.CatchPanic(func() (err error) {
		live, err = b.inner.Subscribe(s.topic, s.receive, s.opts...)
		return err
	})
	if err != nil {
		s.health.Record(fmt.Errorf("subscribing to %q: %w", s.topic, guard.Shorten(err)))
		b.warn("subscribing failed", s.topic, guard.Shorten(err))
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.gone { // Unsubscribe came meanwhile
		b.leaving = append(b.leaving, live)
		b.kick()
		return true
	}
	s.live = live
	s.health.Record(nil)
	return true
}
