package guard_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"go-micro.dev/v4/registry"
)

// FakeRegistry is an inner registry that does what the test says.
type FakeRegistry struct {
	registry.Registry
	mu        sync.Mutex
	calls     []string                            // guarded by mu; "register id", "deregister id"
	at        []time.Time                         // guarded by mu; when each call came
	ttl       map[string]time.Duration            // guarded by mu; by node id
	held      map[string]*registry.Service        // guarded by mu; by node id
	fail      error                               // guarded by mu; what every call answers
	pingErr   error                               // guarded by mu
	hang      chan struct{}                       // guarded by mu; calls wait until it is closed
	broken    func(call string) error             // guarded by mu; decides per call
	openWatch func() (registry.Watcher, error)    // guarded by mu
	answer    func() ([]*registry.Service, error) // guarded by mu; of questions
}

func (f *FakeRegistry) do(call string, change func()) error {
	f.mu.Lock()
	f.calls = append(f.calls, call)
	f.at = append(f.at, time.Now())
	hang, err, broken := f.hang, f.fail, f.broken
	f.mu.Unlock()
	if broken != nil && err == nil {
		err = broken(call)
	}
	if hang != nil {
		<-hang
	}
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		change()
	}
	return err
}

func (f *FakeRegistry) Register(s *registry.Service, opts ...registry.RegisterOption) error {
	var o registry.RegisterOptions
	for _, opt := range opts {
		opt(&o)
	}
	id := s.Nodes[0].Id
	return f.do("register "+id, func() {
		if f.held == nil {
			f.held, f.ttl = map[string]*registry.Service{}, map[string]time.Duration{}
		}
		f.held[id], f.ttl[id] = s, o.TTL
	})
}

func (f *FakeRegistry) Deregister(s *registry.Service, _ ...registry.DeregisterOption) error {
	id := s.Nodes[0].Id
	return f.do("deregister "+id, func() { delete(f.held, id) })
}

func (f *FakeRegistry) GetService(name string, _ ...registry.GetOption) ([]*registry.Service, error) {
	return f.question(name)
}

func (f *FakeRegistry) ListServices(...registry.ListOption) ([]*registry.Service, error) {
	return f.question("")
}

// question answers as the test says, or what is held of the name.
func (f *FakeRegistry) question(name string) ([]*registry.Service, error) {
	f.mu.Lock()
	hang, err, answer := f.hang, f.fail, f.answer
	versions := make(map[string]*registry.Service)
	var held []*registry.Service
	for _, s := range f.held {
		if s.Name != name {
			continue
		}
		v := versions[s.Version]
		if v == nil {
			v = &registry.Service{Name: name, Version: s.Version}
			versions[s.Version] = v
			held = append(held, v)
		}
		v.Nodes = append(v.Nodes, s.Nodes...)
	}
	f.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if answer != nil {
		return answer()
	}
	return held, err
}

func (f *FakeRegistry) Watch(...registry.WatchOption) (registry.Watcher, error) {
	f.mu.Lock()
	watch := f.openWatch
	f.mu.Unlock()
	if watch == nil {
		return NewFakeWatcher(), nil // never tells anything
	}
	return watch()
}

func (f *FakeRegistry) Ping(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pingErr
}

func (f *FakeRegistry) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *FakeRegistry) has(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held[id] != nil
}

func (f *FakeRegistry) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if c == call {
			n++
		}
	}
	return n
}

func NewService(name string, ids ...string) *registry.Service {
	s := &registry.Service{Name: name, Version: "1"}
	for _, id := range ids {
		s.Nodes = append(s.Nodes, &registry.Node{Id: id, Address: "127.0.0.1:1"})
	}
	return s
}

var ErrFake = errors.New("out of order")

// FakeWatcher hands out what is sent to it and counts its stops.
type FakeWatcher struct {
	results chan *registry.Result
	fail    chan error
	stopped chan struct{}
	once    sync.Once
}

func NewFakeWatcher() *FakeWatcher {
	return &FakeWatcher{results: make(chan *registry.Result), fail: make(chan error), stopped: make(chan struct{})}
}

func (w *FakeWatcher) Next() (*registry.Result, error) {
	select {
	case r := <-w.results:
		return r, nil
	case err := <-w.fail:
		return nil, err
	case <-w.stopped:
		return nil, registry.ErrWatcherStopped
	}
}

func (w *FakeWatcher) Stop() { w.once.Do(func() { close(w.stopped) }) }
