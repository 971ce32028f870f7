package registry_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/registry"

	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

// follow returns the results of a watch, and the error that ends it.
func follow(w registry.Watcher) (<-chan *registry.Result, <-chan error) {
	results, ended := make(chan *registry.Result, 100), make(chan error, 1)
	go func() {
		for {
			res, err := w.Next()
			if err != nil {
				ended <- err
				return
			}
			results <- res
		}
	}()
	return results, ended
}

func TestWatchOutlivesABrokenInnerWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made []*registrytest.Watcher
		f := &registrytest.Fake{}
		fails := 2
		f.NewWatcher = func() (registry.Watcher, error) {
			if fails > 0 {
				fails--
				return nil, registrytest.ErrFake
			}
			w := registrytest.NewWatcher()
			f.Locked(func() { made = append(made, w) })
			return w, nil
		}
		r := guarded(f, nil)
		w, err := r.Watch(registry.WatchService("svc"))
		if err != nil {
			t.Fatal(err)
		}
		got, ended := follow(w)
		synctest.Wait()
		testkit.Run(t, r)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		made[0].Results <- &registry.Result{Action: "first"}
		made[0].Errors <- registrytest.ErrFake
		time.Sleep(time.Second)
		synctest.Wait()
		made[1].Results <- &registry.Result{Action: "second"}
		if a, b := (<-got).Action, (<-got).Action; a != "first" || b != "second" {
			t.Errorf("got %q, %q", a, b)
		}
		<-made[0].Stopped // the broken one was stopped
		w.Stop()
		if err := <-ended; err != registry.ErrWatcherStopped {
			t.Errorf("Next after Stop: %v", err)
		}
		<-made[1].Stopped
		w.Stop()
	})
}

func TestWatchIsUnblockedByEveryEnd(t *testing.T) {
	ends := map[string]func(*guardregistry.Registry, registry.Watcher, context.CancelFunc, func() time.Duration){
		"stop": func(_ *guardregistry.Registry, w registry.Watcher, _ context.CancelFunc, _ func() time.Duration) {
			w.Stop()
		},
		"context": func(_ *guardregistry.Registry, _ registry.Watcher, c context.CancelFunc, _ func() time.Duration) { c() },
		"run":     func(_ *guardregistry.Registry, _ registry.Watcher, _ context.CancelFunc, s func() time.Duration) { s() },
	}
	for name, end := range ends {
		for _, opened := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				inner := registrytest.NewWatcher()
				f := &registrytest.Fake{NewWatcher: func() (registry.Watcher, error) { return inner, nil }}
				r := guarded(f, func(cfg *guardregistry.Config) {
					if !opened {
						cfg.Open = func(context.Context) (registry.Registry, error) { return nil, registrytest.ErrFake }
					}
				})
				stop := testkit.Run(t, r)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				w, err := r.Watch(registry.WatchService("svc"), registry.WatchContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				_, ended := follow(w)
				synctest.Wait()
				end(r, w, cancel, stop)
				if err := <-ended; err != registry.ErrWatcherStopped {
					t.Errorf("%s, opened %v: Next: %v", name, opened, err)
				}
				if opened {
					<-inner.Stopped
				}
				if _, err := w.Next(); err != registry.ErrWatcherStopped {
					t.Errorf("%s: Next once more: %v", name, err)
				}
			})
		}
	}
}

func TestWatchesAreBounded(t *testing.T) {
	r := guarded(&registrytest.Fake{}, nil)
	var err error
	var last registry.Watcher
	n := 0
	for ; err == nil && n < 1000; n++ {
		var w registry.Watcher
		if w, err = r.Watch(registry.WatchService("svc")); err == nil {
			last = w
		}
	}
	testkit.WantError(t, err, "256 watches are already open")
	if n != 257 {
		t.Fatalf("watch %d failed, want the 257th", n)
	}
	last.Stop()
	if _, err := r.Watch(registry.WatchService("svc")); err != nil {
		t.Errorf("after one was stopped: %v", err)
	}
}

func TestWatchFollowsConsul(t *testing.T) {
	testkit.NoLeaks(t)
	a, r, stop := consultest.RunGuarded(t)
	w, err := r.Watch(registry.WatchService("svc"))
	if err != nil {
		t.Fatal(err)
	}
	results, ended := follow(w)
	expect := func(want string) {
		t.Helper()
		select {
		case res := <-results:
			got := fmt.Sprintf("%s %s %s %d", res.Action, res.Service.Name, res.Service.Nodes[0].Id, len(res.Service.Nodes))
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no result, want %q", want)
		}
	}
	register := func(id string) {
		t.Helper()
		s := registrytest.Service("svc", id)
		s.Nodes[0].Metadata = map[string]string{"k": id}
		if err := r.Register(s); err != nil {
			t.Fatal(err)
		}
	}
	register("a")
	expect("create svc a 1")
	register("b")
	expect("update svc a 2")
	if err := a.Client().Agent().ServiceDeregister("a"); err != nil {
		t.Fatal(err)
	}
	expect("update svc b 1")
	expect("delete svc a 1")
	services, err := r.GetService("svc")
	if err != nil || len(services) != 1 || services[0].Nodes[0].Metadata["k"] != "b" {
		t.Errorf("question: %+v, %v", services, err)
	}
	if all, err := r.ListServices(); err != nil || len(all) != 2 { // and consul itself
		t.Errorf("list: %d services, %v", len(all), err)
	}
	start := time.Now()
	w.Stop()
	if err := <-ended; err != registry.ErrWatcherStopped || time.Since(start) > time.Second {
		t.Errorf("stop: %v after %v", err, time.Since(start))
	}
	if _, err := r.Watch(); err != nil {
		t.Errorf("watch of all: %v", err)
	}
	stop()
	if _, _, err := a.Client().Agent().Service("b", nil); err == nil {
		t.Error("the end of Run left a node in Consul")
	}
}
