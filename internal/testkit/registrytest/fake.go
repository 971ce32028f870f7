// Package registrytest fakes a go-micro registry for tests.
package registrytest

import (
	"context"
	"errors"
	"sync"
	"time"

	"go-micro.dev/v4/registry"
)

// ErrFake is an error for tests.
var ErrFake = errors.New("out of order")

// Fake is a registry in memory that counts its calls and fails as a test wants. A
// test that runs while others use the Fake touches its fields in Locked only.
type Fake struct {
	registry.Registry

	Calls     []string    // "register ID" and "deregister ID"
	CallTimes []time.Time // of Calls
	Services  map[string]*registry.Service
	TTLs      map[string]time.Duration // of Services; both by node id

	// Err is the error of every call but Ping. ErrOf, if not nil, decides for each
	// call.
	Err   error
	ErrOf func(call string) error
	// PingErr is the error of Ping.
	PingErr error
	// Block makes every call but Ping wait until it is closed.
	Block chan struct{}
	// Query answers GetService and ListServices in place of Services.
	Query func() ([]*registry.Service, error)
	// NewWatcher makes the watchers. Nil: watchers without results.
	NewWatcher func() (registry.Watcher, error)

	mu sync.Mutex // guards all fields
}

// Locked runs f while no call uses the fields.
func (f *Fake) Locked(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// call records a call, waits and fails as set, and else runs change.
func (f *Fake) call(name string, change func()) error {
	f.mu.Lock()
	f.Calls = append(f.Calls, name)
	f.CallTimes = append(f.CallTimes, time.Now())
	block, err, errOf := f.Block, f.Err, f.ErrOf
	f.mu.Unlock()
	if errOf != nil && err == nil {
		err = errOf(name)
	}
	if block != nil {
		<-block
	}
	if err == nil {
		f.Locked(change)
	}
	return err
}

// Register implements registry.Registry for services with one node.
func (f *Fake) Register(s *registry.Service, opts ...registry.RegisterOption) error {
	var o registry.RegisterOptions
	for _, opt := range opts {
		opt(&o)
	}
	id := s.Nodes[0].Id
	return f.call("register "+id, func() {
		if f.Services == nil {
			f.Services, f.TTLs = map[string]*registry.Service{}, map[string]time.Duration{}
		}
		f.Services[id], f.TTLs[id] = s, o.TTL
	})
}

// Deregister implements registry.Registry.
func (f *Fake) Deregister(s *registry.Service, _ ...registry.DeregisterOption) error {
	id := s.Nodes[0].Id
	return f.call("deregister "+id, func() { delete(f.Services, id) })
}

// GetService implements registry.Registry.
func (f *Fake) GetService(name string, _ ...registry.GetOption) ([]*registry.Service, error) {
	return f.query(name)
}

// ListServices implements registry.Registry. Without Query the list is empty.
func (f *Fake) ListServices(...registry.ListOption) ([]*registry.Service, error) {
	return f.query("")
}

func (f *Fake) query(name string) ([]*registry.Service, error) {
	f.mu.Lock()
	block, err, query := f.Block, f.Err, f.Query
	services := f.versions(name)
	f.mu.Unlock()
	if block != nil {
		<-block
	}
	if query != nil {
		return query()
	}
	return services, err
}

// versions returns the registered versions of a service with all their nodes.
func (f *Fake) versions(name string) []*registry.Service {
	var list []*registry.Service
	versions := make(map[string]*registry.Service)
	for _, s := range f.Services {
		if s.Name != name {
			continue
		}
		v := versions[s.Version]
		if v == nil {
			v = &registry.Service{Name: name, Version: s.Version}
			versions[s.Version] = v
			list = append(list, v)
		}
		v.Nodes = append(v.Nodes, s.Nodes...)
	}
	return list
}

// Watch implements registry.Registry.
func (f *Fake) Watch(...registry.WatchOption) (registry.Watcher, error) {
	f.mu.Lock()
	newWatcher := f.NewWatcher
	f.mu.Unlock()
	if newWatcher == nil {
		return NewWatcher(), nil
	}
	return newWatcher()
}

// String implements registry.Registry.
func (f *Fake) String() string { return "fake" }

// Ping returns PingErr.
func (f *Fake) Ping(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.PingErr
}

// ID returns the id of a registered node, of the only one in most tests.
func (f *Fake) ID() (id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id = range f.Services {
		break
	}
	return id
}

// Has reports whether the node is registered.
func (f *Fake) Has(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Services[id] != nil
}

// Count returns how often a call was made.
func (f *Fake) Count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.Calls {
		if c == call {
			n++
		}
	}
	return n
}

// Service returns version 1 of a service with these nodes.
func Service(name string, ids ...string) *registry.Service {
	s := &registry.Service{Name: name, Version: "1"}
	for _, id := range ids {
		s.Nodes = append(s.Nodes, &registry.Node{Id: id, Address: "127.0.0.1:1"})
	}
	return s
}
