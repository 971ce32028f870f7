package discovery

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/store"
)

// Bounds of the queries that Registered sends: a round each interval, in which at most
// newLookups services are looked up for the first time and oldLookups again.
const (
	registeredInterval = 10 * time.Second
	newLookups         = 200
	oldLookups         = 10
)

// Names under which brokers register their subscriptions: those are no services.
const (
	brokerService      = "micro.http.broker"
	olderBrokerService = "topic:"
)

// Registered tells the store which nodes the registry knows, so that it believes them more
// than others. A node that leaves the registry is believed for as long as the store holds
// something of it: the last report of a job is judged by the interval that it was sent with.
type Registered struct {
	registry registry.Registry
	store    *store.Store
	services map[string]*registered
	round    int
}

// registered is what is known of one service.
type registered struct {
	nodes    map[string]bool // that are believed
	lookedUp int             // round of the last lookup, 0 for none
}

// NewRegistered returns a Registered. It needs Run.
func NewRegistered(reg registry.Registry, s *store.Store) *Registered {
	return &Registered{registry: reg, store: s, services: make(map[string]*registered)}
}

// Run follows the registry until ctx ends, and returns nil. A registry that does not answer
// changes nothing.
func (r *Registered) Run(ctx context.Context) error {
	ticker := time.NewTicker(registeredInterval)
	defer ticker.Stop()
	for {
		r.follow(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// follow runs one round.
func (r *Registered) follow(ctx context.Context) {
	listed, err := r.registry.ListServices(registry.ListContext(ctx))
	if err != nil {
		return
	}
	r.round++
	names := make(map[string]bool, len(listed))
	for _, s := range listed {
		if s.Name == brokerService || strings.HasPrefix(s.Name, olderBrokerService) {
			continue
		}
		names[s.Name] = true
		if r.services[s.Name] == nil {
			r.services[s.Name] = new(registered)
		}
	}
	fresh, old := newLookups, oldLookups
	for _, name := range r.byAge() {
		s, left := r.services[name], &old
		if s.lookedUp == 0 {
			left = &fresh
		}
		switch {
		case !names[name]:
			r.believe(name, map[string]bool{})
		case *left > 0 && ctx.Err() == nil:
			*left--
			r.lookUp(ctx, name)
		}
	}
}

// byAge returns the names of the services, that of the oldest lookup first.
func (r *Registered) byAge() []string {
	return slices.SortedFunc(maps.Keys(r.services), func(a, b string) int {
		return cmp.Or(r.services[a].lookedUp-r.services[b].lookedUp, strings.Compare(a, b))
	})
}

// lookUp asks for the nodes of a service.
func (r *Registered) lookUp(ctx context.Context, name string) {
	versions, err := r.registry.GetService(name, registry.GetContext(ctx))
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return
	}
	nodes := make(map[string]bool)
	for _, v := range versions {
		for _, n := range v.Nodes {
			nodes[n.Id] = true
			// Publishers of 2016 send the id without the name of the service.
			if bare, ok := strings.CutPrefix(n.Id, name+"-"); ok {
				nodes[bare] = true
			}
		}
	}
	r.services[name].lookedUp = r.round
	r.believe(name, nodes)
}

// believe makes the store believe the nodes of a service that are registered now, and those
// registered before of which it holds something.
func (r *Registered) believe(name string, nodes map[string]bool) {
	s := r.services[name]
	for node := range s.nodes {
		switch {
		case nodes[node]:
		case r.store.Knows(name, node):
			nodes[node] = true
		default:
			r.store.Believe(name, node, false)
		}
	}
	for node := range nodes {
		r.store.Believe(name, node, true)
	}
	if s.nodes = nodes; len(nodes) == 0 && s.lookedUp < r.round {
		delete(r.services, name)
	}
}
