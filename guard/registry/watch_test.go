package registry_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/registry"

	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

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
		got := make(chan string, 10)
		ended := make(chan error, 1)
		go func() {
			for {
				res, err := w.Next()
				if err != nil {
					ended <- err
					return
				}
				got <- res.Action
			}
		}()
		synctest.Wait()
		testkit.Run(t, r)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		made[0].Results <- &registry.Result{Action: "first"}
		made[0].Errors <- errors.New("broke")
		time.Sleep(time.Second)
		synctest.Wait()
		made[1].Results <- &registry.Result{Action: "second"}
		if a, b := <-got, <-got; a != "first" || b != "second" {
			t.Errorf("got %q, %q", a, b)
		}
		<-made[0].Stopped // the broken one was stopped
		w.Stop()
		if err := <-ended; !errors.Is(err, registry.ErrWatcherStopped) {
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
				ended := make(chan error, 1)
				go func() {
					_, err := w.Next()
					ended <- err
				}()
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
	if n != 257 || err == nil || !strings.Contains(err.Error(), "256 watches are already open") {
		t.Fatalf("watch %d: %v", n, err)
	}
	last.Stop()
	if _, err := r.Watch(registry.WatchService("svc")); err != nil {
		t.Errorf("after one was stopped: %v", err)
	}
}
