package registry

import (
	"context"
	"fmt"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// DeregisterAll removes every node that was registered, in parallel, and waits
// for that no longer than ctx and the timeout allow. From its call on Register
// and Deregister do nothing. It may be called twice. The error says how many
// nodes are left to expire by their TTL.
func (r *Registry) DeregisterAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout*3/4)
	defer cancel()
	inner, entries := r.close()
	if inner == nil || len(entries) == 0 {
		return nil
	}
	results := make(chan error, len(entries))
	if !r.task(func() {
		r.removeEach(ctx, inner, entries, results)
	}) {
		return r.cfg.named(fmt.Errorf("deregistering %d nodes: stopped already", len(entries)))
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
			return r.cfg.named(fmt.Errorf("deregistering %d nodes: no answer in time", len(entries)))
		}
	}
	if failed > 0 {
		return r.cfg.named(fmt.Errorf("deregistering %d of %d nodes: %w", failed, len(entries), guard.Shorten(last)))
	}
	return nil
}

// close stops the taking of wishes and gives the nodes that the registry may know.
func (r *Registry) close() (registry.Registry, []*regEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	var entries []*regEntry
	for _, e := range r.entries {
		if e.held || e.busy != nil {
			entries = append(entries, e)
		}
	}
	return r.inner, entries
}

// removeEach removes the entries, all at once: together they have one timeout.
func (r *Registry) removeEach(ctx context.Context, inner registry.Registry, entries []*regEntry, results chan<- error) {
	for _, e := range entries {
		if !r.task(func() { results <- r.remove(ctx, inner, e) }) {
			results <- context.Canceled
		}
	}
}

// remove waits for the call in flight for e, if any, so that no late Register
// overtakes the removal, and removes the node.
func (r *Registry) remove(ctx context.Context, inner registry.Registry, e *regEntry) error {
	for {
		r.mu.Lock()
		busy := e.busy
		if busy == nil {
			e.remove = true
			e.wish++
			c := e.take()
			r.mu.Unlock()
			err := c.make(inner)
			r.settle(c, err)
			return err
		}
		r.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// task runs fn in a goroutine that Run waits for. It tells whether it did: after
// the end of Run there are no more.
func (r *Registry) task(fn func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false
	}
	r.tasks.Go(fn)
	return true
}
