package guard_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"go-micro.dev/v4/registry"
	"go.uber.org/goleak"

	"github.com/microhq/monitor-srv/guard"
)

// regFake is an inner registry that does what the test says.
type regFake struct {
	registry.Registry
	mu     sync.Mutex
	calls  []string                            // guarded by mu; "register id", "deregister id"
	at     []time.Time                         // guarded by mu; when each call came
	ttl    map[string]time.Duration            // guarded by mu; by node id
	held   map[string]*registry.Service        // guarded by mu; by node id
	fail   error                               // guarded by mu; what every call answers
	ping   error                               // guarded by mu
	hang   chan struct{}                       // guarded by mu; calls wait until it is closed
	broken func(call string) error             // guarded by mu; decides per call
	watch  func() (registry.Watcher, error)    // guarded by mu
	answer func() ([]*registry.Service, error) // guarded by mu; of questions
}

func (f *regFake) do(call string, change func()) error {
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

func (f *regFake) Register(s *registry.Service, opts ...registry.RegisterOption) error {
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

func (f *regFake) Deregister(s *registry.Service, _ ...registry.DeregisterOption) error {
	id := s.Nodes[0].Id
	return f.do("deregister "+id, func() { delete(f.held, id) })
}

func (f *regFake) GetService(name string, _ ...registry.GetOption) ([]*registry.Service, error) {
	return f.question(name)
}

func (f *regFake) ListServices(...registry.ListOption) ([]*registry.Service, error) {
	return f.question("")
}

// question answers as the test says, or what is held of the name.
func (f *regFake) question(name string) ([]*registry.Service, error) {
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

func (f *regFake) Watch(...registry.WatchOption) (registry.Watcher, error) {
	f.mu.Lock()
	watch := f.watch
	f.mu.Unlock()
	if watch == nil {
		return regNewWatch(), nil // never tells anything
	}
	return watch()
}

func (f *regFake) Ping(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ping
}

func (f *regFake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *regFake) has(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held[id] != nil
}

func (f *regFake) count(call string) int {
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

// regOf guards f, which opens at once.
func regOf(f *regFake, change func(*guard.RegistryConfig)) *guard.Registry {
	cfg := guard.RegistryConfig{
		Name:    "fake",
		Address: "here",
		Open:    func(context.Context) (registry.Registry, error) { return f, nil },
		Logger:  regQuiet(),
	}
	if change != nil {
		change(&cfg)
	}
	return guard.NewRegistry(cfg)
}

func regService(name string, ids ...string) *registry.Service {
	s := &registry.Service{Name: name, Version: "1"}
	for _, id := range ids {
		s.Nodes = append(s.Nodes, &registry.Node{Id: id, Address: "127.0.0.1:1"})
	}
	return s
}

// regRunner is anything with a Run.
type regRunner interface{ Run(context.Context) error }

// regRun runs r until the test ends or stop is called, which tells how long it took.
func regRun(t testing.TB, r regRunner) (stop func() time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceValue(func() time.Duration {
		start := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		return time.Since(start)
	})
	t.Cleanup(func() { stop() })
	return stop
}

// regEventually polls until ok answers true and tells how long that took.
func regEventually(t testing.TB, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		if ok() {
			return time.Since(start)
		}
		if time.Since(start) > limit {
			t.Fatalf("not within %v: %s", limit, what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// regNoLeaks checks at the end of the test that goroutines and descriptors are back
// to what they were. Call it first, so that it runs after all other clean-ups.
func regNoLeaks(t testing.TB) {
	t.Helper()
	goroutines, fds := goleak.IgnoreCurrent(), regFDs(t)
	t.Cleanup(func() {
		// Two goroutines of go-micro's own start with the process.
		err := goleak.Find(goroutines,
			goleak.IgnoreTopFunction("go-micro.dev/v4/config.(*config).run.func2"),
			goleak.IgnoreTopFunction("go-micro.dev/v4/config/loader/memory.(*memory).Watch.func1"))
		if err != nil {
			t.Errorf("goroutines are left: %v", err)
		}
		limit := time.Now().Add(5 * time.Second)
		for regFDs(t) > fds+2 {
			if time.Now().After(limit) {
				t.Errorf("descriptors: %d, before the test %d", regFDs(t), fds)
				return
			}
			runtime.Gosched()
			<-time.After(10 * time.Millisecond)
		}
	})
}

func regFDs(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func regQuiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// regLog is a log that a test can read.
type regLog struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *regLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *regLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *regLog) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
}

var errFake = errors.New("out of order")

// long skips a test of many seconds where only the quick ones are wanted.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes many seconds; make test runs it")
	}
}
