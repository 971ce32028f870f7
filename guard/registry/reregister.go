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

// pinger is an inner registry that can check its own health by one cheap call.
type pinger interface {
	Ping(context.Context) error
}

// Run opens the inner registry and keeps its entries as Register and Deregister
// want them until ctx ends. Then it removes the nodes that are still registered,
// within the timeout, ends all watches, and returns when its goroutines have ended.
// It always returns nil: an unavailable registry is a State, not an error.
func (r *Registry) Run(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	inner := r.open(ctx, life)
	if inner != nil {
		r.reconcile(ctx, inner)
		r.deregisterRest(context.WithoutCancel(ctx))
	}
	end()
	for _, w := range r.end() {
		w.Stop()
	}
	r.tasks.End()
	return nil
}

// deregisterRest removes the registered nodes, unless DeregisterAll was called.
func (r *Registry) deregisterRest(ctx context.Context) {
	r.mu.Lock()
	closed := r.closed
	r.mu.Unlock()
	if closed {
		return
	}
	if err := r.DeregisterAll(ctx); err != nil {
		r.cfg.Logger.Warn("deregistration failed, registry entries are left to expire", "error", guard.ErrorText(err))
	}
}

// end marks the end of Run and returns the open watches.
func (r *Registry) end() []*watch {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed, r.ended = true, true
	return slices.Collect(maps.Keys(r.watches))
}

// open retries until the inner registry is open. It returns nil if ctx ends before.
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
		if !guard.Pause(ctx, retry.Next(r.cfg.RetryMin, r.cfg.RetryMax)) {
			break
		}
	}
	return nil
}

// reconcile makes the updates that are due and checks the registry's health until
// ctx ends.
func (r *Registry) reconcile(ctx context.Context, inner registry.Registry) {
	var nextCheck time.Time
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
		check := !time.Now().Before(nextCheck)
		r.reconcileOnce(ctx, inner, check)
		if check {
			nextCheck = time.Now().Add(r.cfg.Heartbeat)
			if r.lastPingError() == nil {
				retry.Reset()
			} else {
				nextCheck = time.Now().Add(retry.Next(r.cfg.RetryMin, r.cfg.RetryMax))
			}
		}
		r.report(r.firstError())
		timer.Reset(time.Until(r.nextDue(nextCheck)))
	}
}

// reconcileOnce makes the calls that are due, some in parallel, and waits for them or for
// the end of ctx.
func (r *Registry) reconcileOnce(ctx context.Context, inner registry.Registry, check bool) {
	done := make(chan struct{})
	r.tasks.Go(func() {
		defer close(done)
		r.makeCalls(ctx, inner, check)
	})
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (r *Registry) makeCalls(ctx context.Context, inner registry.Registry, check bool) {
	var calls errgroup.Group
	calls.SetLimit(parallelUpdates)
	due := r.dueUpdates(time.Now())
	if p, ok := inner.(pinger); ok && (check || len(due) > 0) {
		calls.Go(func() error {
			r.ping(ctx, p)
			r.report(r.firstError()) // updates may take longer
			return nil
		})
	}
	for _, u := range due {
		calls.Go(func() error {
			r.complete(u, u.send(inner))
			return nil
		})
	}
	_ = calls.Wait()
}

// ping checks the health of the inner registry.
func (r *Registry) ping(ctx context.Context, p pinger) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	err := guard.CatchPanic(func() error { return p.Ping(ctx) })
	if err != nil && ctx.Err() != nil {
		err = guard.Reword(fmt.Sprintf("no answer within %v", r.cfg.Timeout), err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pingErr = err
}

// nextDue returns the time of the next update, or nextCheck if that is earlier.
func (r *Registry) nextDue(nextCheck time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := nextCheck
	if r.closed { // no more updates
		return next
	}
	for _, e := range r.entries {
		if e.inFlight == nil && e.due.Before(next) {
			next = e.due
		}
	}
	return next
}

func (r *Registry) lastPingError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pingErr
}
