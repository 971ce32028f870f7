package registrytest

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
	Mu        sync.Mutex
	Calls     []string                            // guarded by mu; "register id", "deregister id"
	At        []time.Time                         // guarded by mu; when each call came
	Ttl       map[string]time.Duration            // guarded by mu; by node id
	Held      map[string]*registry.Service        // guarded by mu; by node id
	Fail      error                               // guarded by mu; what every call answers
	PingErr   error                               // guarded by mu
	Hang      chan struct{}                       // guarded by mu; calls wait until it is closed
	Broken    func(call string) error             // guarded by mu; decides per call
	OpenWatch func() (registry.Watcher, error)    // guarded by mu
	Answer    func() ([]*registry.Service, error) // guarded by mu; of questions
}

func (f *FakeRegistry) do(call string, change func()) error {
	f.Mu.Lock()
	f.Calls = append(f.Calls, call)
	f.At = append(f.At, time.Now())
	hang, err, broken := f.Hang, f.Fail, f.Broken
	f.Mu.Unlock()
	if broken != nil && err == nil {
		err = broken(call)
	}
	if hang != nil {
		<-hang
	}
	if err == nil {
		f.Mu.Lock()
		defer f.Mu.Unlock()
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
		if f.Held == nil {
			f.Held, f.Ttl = map[string]*registry.Service{}, map[string]time.Duration{}
		}
		f.Held[id], f.Ttl[id] = s, o.TTL
	})
}

func (f *FakeRegistry) Deregister(s *registry.Service, _ ...registry.DeregisterOption) error {
	id := s.Nodes[0].Id
	return f.do("deregister "+id, func() { delete(f.Held, id) })
}

func (f *FakeRegistry) GetService(name string, _ ...registry.GetOption) ([]*registry.Service, error) {
	return f.question(name)
}

func (f *FakeRegistry) ListServices(...registry.ListOption) ([]*registry.Service, error) {
	return f.question("")
}

// question answers as the test says, or what is held of the name.
func (f *FakeRegistry) question(name string) ([]*registry.Service, error) {
	f.Mu.Lock()
	hang, err, answer := f.Hang, f.Fail, f.Answer
	versions := make(map[string]*registry.Service)
	var held []*registry.Service
	for _, s := range f.Held {
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
	f.Mu.Unlock()
	if hang != nil {
		<-hang
	}
	if answer != nil {
		return answer()
	}
	return held, err
}

func (f *FakeRegistry) Watch(...registry.WatchOption) (registry.Watcher, error) {
	f.Mu.Lock()
	watch := f.OpenWatch
	f.Mu.Unlock()
	if watch == nil {
		return NewFakeWatcher(), nil // never tells anything
	}
	return watch()
}

func (f *FakeRegistry) Ping(context.Context) error {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	return f.PingErr
}

func (f *FakeRegistry) Set(change func()) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	change()
}

func (f *FakeRegistry) Has(id string) bool {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	return f.Held[id] != nil
}

func (f *FakeRegistry) Count(call string) int {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	n := 0
	for _, c := range f.Calls {
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
	Results chan *registry.Result
	Fail    chan error
	Stopped chan struct{}
	once    sync.Once
}

func NewFakeWatcher() *FakeWatcher {
	return &FakeWatcher{Results: make(chan *registry.Result), Fail: make(chan error), Stopped: make(chan struct{})}
}

func (w *FakeWatcher) Next() (*registry.Result, error) {
	select {
	case r := <-w.Results:
		return r, nil
	case err := <-w.Fail:
		return nil, err
	case <-w.Stopped:
		return nil, registry.ErrWatcherStopped
	}
}

func (w *FakeWatcher) Stop() { w.once.Do(func() { close(w.Stopped) }) }
