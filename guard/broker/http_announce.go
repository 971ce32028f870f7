package broker

import (
	"maps"
	"slices"
	"sync"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// announcer is the registry that the stock http broker uses. It remembers the broker's
// registrations and renews them, because the stock broker renews them only while it
// is connected, and ours never is.
type announcer struct {
	mu        sync.Mutex
	registry  registry.Registry       // guarded by mu
	announced map[string]announcement // guarded by mu; by node id
}

var _ registry.Registry = (*announcer)(nil)

// announcement is one registration of a subscription.
type announcement struct {
	service *registry.Service
	opts    []registry.RegisterOption
}

// replace sets the registry for further calls.
func (a *announcer) replace(r registry.Registry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.registry = r
}

func (a *announcer) current() registry.Registry {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.registry
}

// Init applies options to the registry.
func (a *announcer) Init(opts ...registry.Option) error { return a.current().Init(opts...) }

// Options returns the registry's options.
func (a *announcer) Options() registry.Options { return a.current().Options() }

// String returns the registry's name.
func (a *announcer) String() string { return a.current().String() }

// Register registers a subscription and remembers it.
func (a *announcer) Register(s *registry.Service, opts ...registry.RegisterOption) error {
	if err := a.current().Register(s, opts...); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.announced == nil {
		a.announced = make(map[string]announcement)
	}
	a.announced[s.Nodes[0].Id] = announcement{s, slices.Clone(opts)}
	return nil
}

// Deregister removes a subscription.
func (a *announcer) Deregister(s *registry.Service, opts ...registry.DeregisterOption) error {
	a.mu.Lock()
	delete(a.announced, s.Nodes[0].Id)
	a.mu.Unlock()
	return a.current().Deregister(s, opts...)
}

// GetService queries the registry.
func (a *announcer) GetService(name string, opts ...registry.GetOption) ([]*registry.Service, error) {
	return a.current().GetService(name, opts...)
}

// ListServices queries the registry.
func (a *announcer) ListServices(opts ...registry.ListOption) ([]*registry.Service, error) {
	return a.current().ListServices(opts...)
}

// Watch watches the registry.
func (a *announcer) Watch(opts ...registry.WatchOption) (registry.Watcher, error) {
	return a.current().Watch(opts...)
}

// own returns the subscriptions of this process.
func (a *announcer) own() []*registry.Service {
	a.mu.Lock()
	defer a.mu.Unlock()
	own := make([]*registry.Service, 0, len(a.announced))
	for _, id := range slices.Sorted(maps.Keys(a.announced)) {
		own = append(own, a.announced[id].service)
	}
	return own
}

// renew registers every subscription again. It continues after a failure and returns
// the last one.
func (a *announcer) renew() (failed error) {
	a.mu.Lock()
	held := make([]announcement, 0, len(a.announced))
	for _, h := range a.announced {
		held = append(held, h)
	}
	a.mu.Unlock()
	for _, h := range held {
		err := guard.CatchPanic(func() error { return a.current().Register(h.service, h.opts...) })
		if err != nil {
			failed = err
		}
	}
	return failed
}
