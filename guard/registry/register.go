package registry

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// entry is the desired state of one node and the progress towards it. Registry.mu
// guards it.
type entry struct {
	service *registry.Service // with this node alone
	opts    []registry.RegisterOption
	remove  bool // the node is to be removed
	ttl     time.Duration
	// optional tells that a failure does not make the registry unavailable.
	optional bool
	// version counts the changes of the fields above.
	version uint64
	// requested is when the owner last called Register or Deregister.
	requested time.Time

	due      time.Time     // of the next update
	inFlight chan struct{} // closed when the update in flight ends; nil without one
	// attempted tells that an update was sent, so the registry may know the node.
	attempted bool
	err       error // of the last update
	retry     guard.Backoff
}

// Register records that every node of s is to be registered and returns at once.
// The newest call for a node id wins. It fails only for services that no registry
// accepts, and has no effect after DeregisterAll.
func (r *Registry) Register(s *registry.Service, opts ...registry.RegisterOption) error {
	if err := checkNodes(s); err != nil {
		return fmt.Errorf("registering a service: %w", err)
	}
	var o registry.RegisterOptions
	for _, opt := range opts {
		opt(&o)
	}
	return r.change(s, func(e *entry) {
		e.remove, e.opts, e.ttl, e.optional = false, slices.Clone(opts), o.TTL, guard.IsOptional(o)
	})
}

// Deregister records that every node of s is to be removed and returns at once.
func (r *Registry) Deregister(s *registry.Service, _ ...registry.DeregisterOption) error {
	if err := checkNodes(s); err != nil {
		return fmt.Errorf("deregistering a service: %w", err)
	}
	return r.change(s, func(e *entry) { e.remove = true })
}

// change changes the entry of each node of s and wakes Run.
func (r *Registry) change(s *registry.Service, set func(*entry)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	now := time.Now()
	for _, node := range s.Nodes {
		e := r.entries[node.Id]
		if e == nil {
			if len(r.entries) >= maxEntries {
				return fmt.Errorf("registering node %q: %d nodes are already registered", node.Id, maxEntries)
			}
			e = &entry{}
			r.entries[node.Id] = e
		}
		set(e)
		e.service = copyService(s, node)
		e.requested, e.due = now, now
		e.version++
		if e.remove && !e.attempted && e.inFlight == nil && e.version > 1 {
			delete(r.entries, node.Id) // it was never sent to the registry
		}
	}
	r.wakeRun()
	return nil
}

func checkNodes(s *registry.Service) error {
	if s == nil || s.Name == "" {
		return errors.New("it has no name")
	}
	if len(s.Nodes) == 0 {
		return fmt.Errorf("%q has no nodes", s.Name)
	}
	for _, node := range s.Nodes {
		if node == nil || node.Id == "" {
			return fmt.Errorf("a node of %q has no id", s.Name)
		}
	}
	return nil
}

// copyService copies s with one of its nodes, deep enough that the caller may change
// its own. Endpoints are shared: go-micro never changes them.
func copyService(s *registry.Service, node *registry.Node) *registry.Service {
	c := *s
	n := *node
	n.Metadata = maps.Clone(node.Metadata)
	c.Nodes = []*registry.Node{&n}
	c.Metadata = maps.Clone(s.Metadata)
	c.Endpoints = slices.Clone(s.Endpoints)
	return &c
}
