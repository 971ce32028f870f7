package registry

import (
	"fmt"
	"maps"
	"slices"

	"github.com/microhq/monitor-srv/guard"
)

// firstError returns the error of the health check, or else that of the first entry
// in the order of node ids that is not optional.
func (r *Registry) firstError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pingErr != nil {
		return r.pingErr
	}
	for _, id := range slices.Sorted(maps.Keys(r.entries)) {
		e := r.entries[id]
		if e.err == nil || e.optional {
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

// report records the state. It logs every change between available and unavailable,
// and a new reason at most once in loglimit.DefaultEvery.
func (r *Registry) report(err error) {
	if err != nil {
		err = r.cfg.wrap(err)
	}
	before := r.state.State().Reason
	changed := r.state.Record(err)
	if err == nil {
		if changed {
			r.cfg.Logger.Info("registry is available", "registry", r.cfg.Name, "address", r.cfg.Address)
		}
		return
	}
	reason := r.state.State().Reason
	_, due := r.limit.Allow("")
	if changed || reason != before && due {
		r.cfg.Logger.Warn("registry is unavailable", "reason", reason)
	}
}

// reportOptional logs that an optional registration began to fail.
func (r *Registry) reportOptional(id string, err error) {
	if suppressed, ok := r.limit.Allow("optional"); ok {
		r.cfg.Logger.Warn("an optional registration failed", "node", id, "error", guard.ErrorText(r.cfg.wrap(err)), "suppressed", suppressed)
	}
}
