package guard_test

import (
	"fmt"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// With the stock plugin the topics overwrite one another, and each heartbeat
// registers them anew.
func TestTopicsDoNotMoveTheCatalog(t *testing.T) {
	long(t)
	regNoLeaks(t)
	regClearEnv(t)
	a := regStartAgent(t, false)
	r, err := guard.NewConsulRegistry(guard.ConsulConfig{Address: a.address()},
		guard.RegistryConfig{Heartbeat: 100 * time.Millisecond, Logger: regQuiet()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := guard.NewHTTPBroker(guard.HTTPBrokerConfig{
		BrokerConfig: guard.BrokerConfig{Logger: regQuiet()},
		Registry:     r,
		Renew:        100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	regRun(t, r)
	stop := regRun(t, b)
	for i := range 5 {
		if _, err := b.Subscribe(fmt.Sprint("topic-", i), func(broker.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	regEventually(t, 10*time.Second, "five topics", func() bool { return len(a.nodes("micro.http.broker")) == 5 })
	index := func() (health, catalog uint64) {
		_, h, err := a.client().Health().Service("micro.http.broker", "", false, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, c, err := a.client().Catalog().Service("micro.http.broker", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		return h.LastIndex, c.LastIndex
	}
	// The passing checks of the last registration reach the catalog a moment later.
	health, catalog := index()
	regEventually(t, 10*time.Second, "the indexes come to rest", func() bool {
		<-time.After(300 * time.Millisecond)
		h, c := index()
		still := h == health && c == catalog
		health, catalog = h, c
		return still
	})
	<-time.After(3 * time.Second) // some thirty heartbeats of each topic
	if h, c := index(); h != health || c != catalog {
		t.Errorf("indexes moved: health %d to %d, catalog %d to %d", health, h, catalog, c)
	}
	if n := len(a.nodes("micro.http.broker")); n != 5 {
		t.Errorf("%d topics are passing, want 5", n)
	}
	stop()
}

func TestWatchFollowsConsul(t *testing.T) {
	regNoLeaks(t)
	regClearEnv(t)
	a := regStartAgent(t, false)
	r, err := guard.NewConsulRegistry(guard.ConsulConfig{Address: a.address()}, guard.RegistryConfig{Logger: regQuiet()})
	if err != nil {
		t.Fatal(err)
	}
	stop := regRun(t, r)
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
		s := regService("svc", id)
		s.Nodes[0].Metadata = map[string]string{"k": id}
		if err := r.Register(s); err != nil {
			t.Fatal(err)
		}
	}
	register("a")
	expect("create svc a 1")
	register("b")
	expect("update svc a 2")
	if err := a.client().Agent().ServiceDeregister("a"); err != nil {
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
	if _, _, err := a.client().Agent().Service("b", nil); err == nil {
		t.Error("the end of Run left a node in Consul")
	}
}
