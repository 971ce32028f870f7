package registry

import (
	"fmt"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// update is one call of the inner registry: an entry as it was when the call began.
type update struct {
	entry   *entry
	service *registry.Service
	opts    []registry.RegisterOption
	remove  bool
	version uint64
}

// begin marks an update of the entry as in flight and returns it.
func (e *entry) begin() update {
	e.inFlight = make(chan struct{})
	e.attempted = true
	return update{entry: e, service: e.service, opts: e.opts, remove: e.remove, version: e.version}
}

func (u update) send(inner registry.Registry) error {
	return guard.CatchPanic(func() error {
		if u.remove {
			return inner.Deregister(u.service)
		}
		return inner.Register(u.service, u.opts...)
	})
}

// dueUpdates begins the updates that are due.
func (r *Registry) dueUpdates(now time.Time) []update {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	var updates []update
	for id, e := range r.entries {
		age := now.Sub(e.requested)
		switch {
		case e.inFlight != nil || now.Before(e.due):
		case e.remove && age > removalTimeout:
			delete(r.entries, id)
		case !e.remove && e.ttl > 0 && age > e.ttl:
			e.err = fmt.Errorf("its owner has not renewed it within %v", e.ttl)
			e.due = now.Add(r.cfg.Heartbeat)
		default:
			updates = append(updates, e.begin())
		}
	}
	return updates
}

// complete records the result of an update and when the next one is due, and logs it
// if it is optional and began to fail.
func (r *Registry) complete(u update, err error) {
	if r.record(u, err) {
		r.reportOptional(u.service.Nodes[0].Id, err)
	}
}

// record records the result of an update. It reports whether an optional entry began to
// fail.
func (r *Registry) record(u update, err error) (began bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := u.entry
	began = e.optional && e.err == nil && err != nil
	close(e.inFlight)
	e.inFlight = nil
	e.err = err
	now := time.Now()
	switch {
	case err == nil && u.remove && e.version == u.version:
		delete(r.entries, u.service.Nodes[0].Id)
	case e.version != u.version: // the owner changed it meanwhile
		e.due = now
		r.wakeRun()
	case err == nil:
		e.retry.Reset()
		e.due = now.Add(r.cfg.Heartbeat)
	default:
		e.due = now.Add(e.retry.Next(r.cfg.RetryMin, r.cfg.RetryMax))
	}
	return began
}
