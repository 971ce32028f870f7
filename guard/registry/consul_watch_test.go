package registry_test

import (
	"fmt"
	"testing"
	"time"

	"go-micro.dev/v4/registry"

	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

func TestWatchFollowsConsul(t *testing.T) {
	testkit.NoLeaks(t)
	consultest.ClearEnv(t)
	a := consultest.Start(t)
	r, err := guardregistry.NewConsul(guardregistry.ConsulConfig{Address: a.Address()}, guardregistry.Config{Logger: testkit.QuietLog()})
	if err != nil {
		t.Fatal(err)
	}
	stop := testkit.Run(t, r)
	w, err := r.Watch(registry.WatchService("svc"))
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan string, 100)
	ended := make(chan error, 1)
	go func() {
		for {
			res, err := w.Next()
			if err != nil {
				ended <- err
				return
			}
			results <- fmt.Sprintf("%s %s %s %d", res.Action, res.Service.Name, res.Service.Nodes[0].Id, len(res.Service.Nodes))
		}
	}()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-results:
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
