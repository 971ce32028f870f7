package registry

import (
	"context"
	"fmt"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// DeregisterAll removes every registered node, in parallel, and waits for that, at
// most for ctx and the timeout. Register and Deregister have no effect afterwards.
// It may be called twice. The error tells how many nodes are left to expire by
// their TTL.
func (r *Registry) DeregisterAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout*3/4)
	defer cancel()
	inner, entries := r.close()
	if inner == nil || len(entries) == 0 {
		return nil
	}
	results := make(chan error, len(entries))
	if !r.tasks.Go(func() {
		r.removeEach(ctx, inner, entries, results)
	}) {
		return r.cfg.wrap(fmt.Errorf("deregistering %d nodes: %w", len(entries), errStopped))
	}
	var failed int
	var last error
	for range entries {
		select {
		case err := <-results:
			if err != nil {
				failed, last = failed+1, err
			}
		case <-ctx.Done():
			return r.cfg.wrap(fmt.Errorf("deregistering %d nodes: no answer in time", len(entries)))
		}
	}
	if failed > 0 {
		return r.cfg.wrap(fmt.Errorf("deregistering %d of %d nodes: %w", failed, len(entries), guard.Shorten(last)))
	}
	return nil
}

// close stops the updates and returns the entries that the registry may know.
func (r *Registry) close() (registry.Registry, []*entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	var entries []*entry
	for _, e := range r.entries {
		if e.attempted || e.inFlight != nil {
			entries = append(entries, e)
		}
	}
	return r.inner, entries
}

// removeEach removes the entries, all in parallel: together they have one timeout.
func (r *Registry) removeEach(ctx context.Context, inner registry.Registry, entries []*entry, results chan<- error) {
	for _, e := range entries {
		if !r.tasks.Go(func() { results <- r.remove(ctx, inner, e) }) {
			results <- context.Canceled
		}
	}
}

// remove removes the node of e. It waits for an update in flight first, so that a
// late Register does not overtake the removal.
func (r *Registry) remove(ctx context.Context, inner registry.Registry, e *entry) error {
	for {
		r.mu.Lock()
		inFlight := e.inFlight
		if inFlight == nil {
			e.remove = true
			e.version++
			u := e.begin()
			r.mu.Unlock()
			err := u.send(inner)
			r.complete(u, err)
			return err
		}
		r.mu.Unlock()
		select {
		case <-inFlight:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
