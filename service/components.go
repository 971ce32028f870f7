package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/ingest"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/web"
)

// A component is a named piece of the instance that can fail. /healthz lists it, and
// the instance publishes a check about it.
type component struct {
	name        string
	needed      bool   // the instance is not ready without it
	description string // of the check; empty: there is none
	look        func() condition
	listed      func() []web.Component // what /healthz lists in its place; nil: itself
}

// A condition is whether a component works, since when, and why not.
type condition struct {
	OK     bool
	Since  time.Time
	Reason string // empty if OK
}

func (c condition) named(name string, needed bool) web.Component {
	return web.Component{Name: name, OK: c.OK, Since: c.Since, Reason: c.Reason, Needed: needed}
}

// listComponents returns the components as /healthz shows them, in their order.
func listComponents(components []component) []web.Component {
	var all []web.Component
	for _, c := range components {
		if c.listed != nil {
			all = append(all, c.listed()...)
		} else {
			all = append(all, c.look().named(c.name, c.needed))
		}
	}
	return all
}

// checksOf returns the checks about components of a service.
func checksOf(service string, components []component) []health.Check {
	var all []health.Check
	for _, c := range components {
		if c.description != "" {
			all = append(all, health.Check{ID: service + "." + c.name, Description: c.description, Run: c.check})
		}
	}
	return all
}

// check is the function of a health.Check.
func (c component) check(context.Context) (map[string]string, error) {
	now := c.look()
	results := map[string]string{"since": now.Since.UTC().Format(time.RFC3339)}
	if now.OK {
		return results, nil
	}
	return results, errors.New(now.Reason)
}

// queueComponent fails while the queue in front of the store drops events.
func queueComponent(events *ingest.Events, started time.Time) component {
	return component{
		name: "queue", description: "events are stored as fast as they arrive",
		look: func() condition {
			q := events.State()
			if q.DroppingSince.IsZero() {
				return condition{OK: true, Since: started}
			}
			return condition{
				Since:  q.DroppingSince,
				Reason: fmt.Sprintf("events arrive faster than they can be stored, the least important are dropped; %d are queued", q.Depth),
			}
		},
	}
}

// refusalTime is how long the store counts as full after it refused a new key.
const refusalTime = time.Minute

// fullness is the component of a store: it fails while the store refuses new keys.
type fullness struct {
	store *store.Store

	mu        sync.Mutex
	refused   uint64    // guarded by mu; keys refused when it was looked at last
	refusedAt time.Time // guarded by mu; when that had last grown
	now       condition // guarded by mu
}

func storeComponent(s *store.Store, started time.Time) component {
	f := &fullness{store: s, now: condition{OK: true, Since: started}}
	return component{name: "store", description: "there is room for new checks", look: f.look}
}

func (f *fullness) look() condition {
	refused := f.store.Counters().Refused
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if refused != f.refused {
		f.refused, f.refusedAt = refused, now
	}
	ok := f.refusedAt.IsZero() || now.Sub(f.refusedAt) > refusalTime
	if ok != f.now.OK {
		f.now = condition{OK: ok, Since: now}
	}
	if !ok {
		f.now.Reason = fmt.Sprintf("full: %d events of new keys were refused since the start; %s bounds all, and there are bounds for each service and node", refused, MaxEntries)
	}
	return f.now
}
