package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"go-micro.dev/v4/registry"
	"golang.org/x/sync/errgroup"

	"github.com/microhq/monitor-srv/guard"
)

// pinger is an inner registry that can tell by one cheap call whether it is well.
type pinger interface {
	Ping(context.Context) error
}

// Run opens the inner registry and brings it to what was asked of Register and
// Deregister, until ctx ends. Then it removes what is still registered, within
// the timeout, ends all watches, and returns when its goroutines have ended. It
// always returns nil: a registry that is away is a State, not an error.
func (r *Registry) Run(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	inner := r.open(ctx, life)
	if inner != nil {
		r.keep(ctx, inner)
		r.leave(context.WithoutCancel(ctx))
	}
	end()
	for _, w := range r.end() {
		w.Stop()
	}
	r.tasks.Wait()
	return nil
}

// leave removes what is registered, unless DeregisterAll has tried that already.
func (r *Registry) leave(ctx context.Context) {
	r.mu.Lock()
	closed := r.closed
	r.mu.Unlock()
	if closed {
		return
	}
	if err := r.DeregisterAll(ctx); err != nil {
		r.cfg.Logger.Warn("registry entries are left to expire", "error", guard.ErrorText(err))
	}
}

// end marks the end of Run and gives the watches that are still open.
func (r *Registry) end() []*regWatch {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed, r.ended = true, true
	return slices.Collect(maps.Keys(r.watches))
}

// open retries until there is an inner registry or ctx has ended.
func (r *Registry) open(ctx, life context.Context) registry.Registry {
	opening, cancel := context.WithCancel(life)
	defer context.AfterFunc(ctx, cancel)()
	var retry guard.Backoff
	for ctx.Err() == nil {
		var inner registry.Registry
		err := guard.CatchPanic(func() (err error) {
			inner, err = r.cfg.Open(opening)
			return err
		})
		if err == nil {
			r.mu.Lock()
			r.inner = inner
			r.mu.Unlock()
			close(r.opened)
			return inner
		}
		r.report(err)
		if !pause(ctx, retry.Next(r.cfg.RetryMin, r.cfg.RetryMax)) {
			break
		}
	}
	return nil
}

// keep carries out wishes and looks at the registry until ctx ends.
func (r *Registry) keep(ctx context.Context, inner registry.Registry) {
	var lookAt time.Time
	var retry guard.Backoff
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-timer.C:
		}
		look := !time.Now().Before(lookAt)
		r.pass(ctx, inner, look)
		if look {
			lookAt = time.Now().Add(r.cfg.Heartbeat)
			if r.lastPing() == nil {
				retry.Reset()
			} else {
				lookAt = time.Now().Add(retry.Next(r.cfg.RetryMin, r.cfg.RetryMax))
			}
		}
		r.report(r.problem())
		timer.Reset(time.Until(r.nextTime(lookAt)))
	}
}

// pass makes the calls that are due, some at a time, and waits for them or for
// the end of ctx. A slow registry makes a pass as long as its slowest calls, never
// the sum of all.
func (r *Registry) pass(ctx context.Context, inner registry.Registry, look bool) {
	done := make(chan struct{})
	r.task(func() {
		defer close(done)
		r.makeCalls(ctx, inner, look)
	})
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (r *Registry) makeCalls(ctx context.Context, inner registry.Registry, look bool) {
	var calls errgroup.Group
	calls.SetLimit(parallelWrites)
	due := r.due(time.Now())
	if p, ok := inner.(pinger); ok && (look || len(due) > 0) {
		calls.Go(func() error {
			pingCtx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
			defer cancel()
			err := guard.CatchPanic(func() error { return p.Ping(pingCtx) })
			if err != nil && pingCtx.Err() != nil {
				err = guard.WithText(fmt.Sprintf("no answer within %v", r.cfg.Timeout), err)
			}
			r.mu.Lock()
			r.pinged = err
			r.mu.Unlock()
			r.report(r.problem()) // slower calls may be on their way
			return nil
		})
	}
	for _, c := range due {
		calls.Go(func() error {
			r.settle(c, c.make(inner))
			return nil
		})
	}
	_ = calls.Wait()
}

// regCall is one call to be made for an entry, as the wish was when it was taken.
type regCall struct {
	entry   *regEntry
	service *registry.Service
	opts    []registry.RegisterOption
	remove  bool
	wish    uint64
}

func (c regCall) make(inner registry.Registry) error {
	return guard.CatchPanic(func() error {
		if c.remove {
			return inner.Deregister(c.service)
		}
		return inner.Register(c.service, c.opts...)
	})
}

// due takes the entries whose time has come and marks them busy.
func (r *Registry) due(now time.Time) []regCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	var calls []regCall
	for id, e := range r.entries {
		age := now.Sub(e.asked)
		switch {
		case e.busy != nil || now.Before(e.next):
		case e.remove && age > removalLife:
			delete(r.entries, id)
		case !e.remove && e.ttl > 0 && age > e.ttl:
			e.err = fmt.Errorf("its owner has not renewed it within %v", e.ttl)
			e.next = now.Add(r.cfg.Heartbeat)
		default:
			calls = append(calls, e.take())
		}
	}
	return calls
}

// take marks the entry busy and gives the call that its wish needs.
func (e *regEntry) take() regCall {
	e.busy = make(chan struct{})
	e.held = true
	return regCall{entry: e, service: e.service, opts: e.opts, remove: e.remove, wish: e.wish}
}

// settle records how a call ended and when the next one is due.
func (r *Registry) settle(c regCall, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := c.entry
	close(e.busy)
	e.busy = nil
	e.err = err
	now := time.Now()
	switch {
	case err == nil && c.remove && e.wish == c.wish:
		delete(r.entries, c.service.Nodes[0].Id)
	case e.wish != c.wish:
		e.next = now
		r.kick()
	case err == nil:
		e.retry.Reset()
		e.next = now.Add(r.cfg.Heartbeat)
	default:
		e.next = now.Add(e.retry.Next(r.cfg.RetryMin, r.cfg.RetryMax))
	}
}

// nextTime is the earliest time at which there is something to do.
func (r *Registry) nextTime(lookAt time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := lookAt
	if r.closed { // nothing is due any more
		return next
	}
	for _, e := range r.entries {
		if e.busy == nil && e.next.Before(next) {
			next = e.next
		}
	}
	return next
}

func (r *Registry) lastPing() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pinged
}

// problem is the first thing that is wrong: the registry itself, then the
// entries in the order of their ids.
func (r *Registry) problem() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pinged != nil {
		return r.pinged
	}
	for _, id := range slices.Sorted(maps.Keys(r.entries)) {
		e := r.entries[id]
		if e.err == nil {
			continue
		}
		doing := "registering"
		if e.remove {
			doing = "deregistering"
		}
		return fmt.Errorf("%s %q: %w", doing, id, guard.Shorten(e.err))
	}
	return nil
}

// report keeps the state. It logs when the state turns, and a new reason at most
// once in ten seconds.
func (r *Registry) report(err error) {
	if err != nil {
		err = r.cfg.named(err)
	}
	was := r.health.State().Reason
	turned := r.health.Record(err)
	if err == nil {
		if turned {
			r.cfg.Logger.Info("registry is well", "registry", r.cfg.Name, "address", r.cfg.Address)
		}
		return
	}
	r.mu.Lock()
	reason := r.health.State().Reason
	tell := turned || (reason != was && time.Since(r.warned) > guard.LogInterval)
	if tell {
		r.warned = time.Now()
	}
	r.mu.Unlock()
	if tell {
		r.cfg.Logger.Warn("registry is not well", "reason", reason)
	}
}
