package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/guard"
	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/web"
)

// refusingFor is how long the store counts as full after it refused a new key.
const refusingFor = time.Minute

// parts tells how each inner part of an instance is: for /healthz, and for the
// checks that the instance publishes about itself.
type parts struct {
	i *instance

	mu      sync.Mutex
	address string    // of the RPC server, once it serves; guarded by mu
	since   time.Time // guarded by mu
	// refused is how many keys the store had refused by refusedAt, and full when
	// it last turned full or had room again; all guarded by mu.
	refused   uint64
	refusedAt time.Time
	full      guard.State
}

func newParts(i *instance) *parts {
	return &parts{i: i, since: i.started, full: guard.State{OK: true, Since: i.started}}
}

// serving notes that the RPC server answers at address.
func (p *parts) serving(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.address, p.since = address, time.Now()
}

// rpcAddress returns where the RPC server answers, or "" before it does.
func (p *parts) rpcAddress() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.address
}

// list returns the parts in a fixed order.
func (p *parts) list() []web.Part {
	list := []web.Part{
		p.rpc(),
		part("registry", p.i.registry.State(), false),
		part("broker", p.i.broker.State(), true),
	}
	for _, s := range p.i.broker.Subscriptions() {
		list = append(list, part("subscription "+s.Topic, s.State, true))
	}
	list = append(list, p.queue(), p.store(), p.monitors())
	if p.i.monitors.ledger != nil {
		list = append(list, p.state())
	}
	return list
}

// monitors is not well while a file of them is wrong.
func (p *parts) monitors() web.Part {
	return part("monitors", p.i.monitors.files.state(p.i.started), false)
}

// state is not well while what is owed cannot be written down.
func (p *parts) state() web.Part {
	s := p.i.monitors.ledger.Health()
	return part("state", guard.State{OK: s.OK, Since: s.Since, Reason: s.Reason}, false)
}

func part(name string, s guard.State, needed bool) web.Part {
	return web.Part{Name: name, OK: s.OK, Since: s.Since, Reason: s.Reason, Needed: needed}
}

func (p *parts) rpc() web.Part {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := guard.State{OK: p.address != "", Since: p.since}
	if !s.OK {
		s.Reason = "not serving yet"
	}
	return part("rpc", s, true)
}

func (p *parts) queue() web.Part {
	q := p.i.events.State()
	s := guard.State{OK: q.DroppingSince.IsZero(), Since: q.DroppingSince}
	if s.OK {
		s.Since = p.i.started
	} else {
		s.Reason = "events come faster than they can be stored, the least important are dropped; " + strconv.Itoa(q.Depth) + " wait"
	}
	return part("queue", s, false)
}

// store is not well while it refuses new keys.
func (p *parts) store() web.Part {
	refused := p.i.store.Counters().Refused
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if refused != p.refused {
		p.refused, p.refusedAt = refused, now
	}
	ok := p.refusedAt.IsZero() || now.Sub(p.refusedAt) > refusingFor
	if ok != p.full.OK {
		p.full = guard.State{OK: ok, Since: now}
	}
	if !ok {
		p.full.Reason = fmt.Sprintf("full: %d events of new keys were refused since the start; --%s bounds all, and there are bounds for each service and node", refused, flagMaxEntries)
	}
	return part("store", p.full, false)
}

// report answers /healthz and /readyz.
func (i *instance) report() web.Report {
	return web.Report{
		Instance: i.node,
		Version:  i.cfg.server.version,
		Started:  i.started,
		Parts:    i.parts.list(),
	}
}

// checkParts publishes a check for each part: who monitors the monitoring
// service? The monitoring service.
func (i *instance) checkParts() error {
	checked := []struct {
		name, description string
		state             func() web.Part
	}{
		{"registry", "the registry answers and knows us", func() web.Part { return part("", i.registry.State(), false) }},
		{"broker", "the broker is connected", func() web.Part { return part("", i.broker.State(), false) }},
		{"subscriptions", "every topic of the bus is subscribed", i.parts.subscriptions},
		{"queue", "events are stored as fast as they come", i.parts.queue},
		{"store", "there is room for new checks", i.parts.store},
		{"monitors", "every file of monitors is fine", i.parts.monitors},
		{"state", "what is owed is written down", i.parts.state},
	}
	if i.monitors.ledger == nil {
		checked = checked[:len(checked)-1]
	}
	var errs []error
	for _, p := range checked {
		errs = append(errs, i.reporter.Add(health.Check{
			ID:          i.cfg.server.name + "." + p.name,
			Description: p.description,
			Run: func(context.Context) (map[string]string, error) {
				part := p.state()
				results := map[string]string{"since": part.Since.UTC().Format(time.RFC3339)}
				if part.OK {
					return results, nil
				}
				return results, errors.New(part.Reason)
			},
		}))
	}
	return errors.Join(errs...)
}

// subscriptions sums up the subscriptions: the first that does not hold.
func (p *parts) subscriptions() web.Part {
	sum := guard.State{OK: true, Since: p.i.started}
	for _, s := range p.i.broker.Subscriptions() {
		if !s.State.OK {
			return part("", guard.State{Since: s.State.Since, Reason: s.Topic + ": " + s.State.Reason}, false)
		}
		if s.State.Since.After(sum.Since) {
			sum.Since = s.State.Since
		}
	}
	return part("", sum, false)
}
