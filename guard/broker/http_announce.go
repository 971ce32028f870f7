package broker

import (
	"slices"
	"sync"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// httpAnnouncer is the registry that the stock http broker sees. It remembers what
// the broker announces, because the broker itself renews nothing while it is not
// connected, and ours never is.
type httpAnnouncer struct {
	mu   sync.Mutex
	to   registry.Registry       // guarded by mu
	held map[string]announcement // guarded by mu; by node id
}

var _ registry.Registry = (*httpAnnouncer)(nil)

type announcement struct {
	service *registry.Service
	opts    []registry.RegisterOption
}

// replace takes another registry for what is announced from now on.
func (a *httpAnnouncer) replace(r registry.Registry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.to = r
}

func (a *httpAnnouncer) current() registry.Registry {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.to
}

// Init passes options on.
func (a *httpAnnouncer) Init(opts ...registry.Option) error { return a.current().Init(opts...) }

// Options answers the registry's.
func (a *httpAnnouncer) Options() registry.Options { return a.current().Options() }

// String answers the registry's name.
func (a *httpAnnouncer) String() string { return a.current().String() }

// Register announces a subscription and remembers it.
func (a *httpAnnouncer) Register(s *registry.Service, opts ...registry.RegisterOption) error {
	if err := a.current().Register(s, opts...); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held == nil {
		a.held = make(map[string]announcement)
	}
	a.held[s.Nodes[0].Id] = announcement{s, slices.Clone(opts)}
	return nil
}

// Deregister takes a subscription back.
func (a *httpAnnouncer) Deregister(s *registry.Service, opts ...registry.DeregisterOption) error {
	a.mu.Lock()
	delete(a.held, s.Nodes[0].Id)
	a.mu.Unlock()
	return a.current().Deregister(s, opts...)
}

// GetService asks the registry.
func (a *httpAnnouncer) GetService(name string, opts ...registry.GetOption) ([]*registry.Service, error) {
	return a.current().GetService(name, opts...)
}

// ListServices asks the registry.
func (a *httpAnnouncer) ListServices(opts ...registry.ListOption) ([]*registry.Service, error) {
	return a.current().ListServices(opts...)
}

// Watch asks the registry.
func (a *httpAnnouncer) Watch(opts ...registry.WatchOption) (registry.Watcher, error) {
	return a.current().Watch(opts...)
}

// renew announces every subscription again. One that fails is tried the next time.
func (a *httpAnnouncer) renew() (failed error) {
	a.mu.Lock()
	held := make([]announcement, 0, len(a.held))
	for _, h := range a.held {
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
