package discovery

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/registry"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

// report is a check that claims to come once a year.
func report(service, node string) *store.Event {
	return &store.Event{
		Service: []byte(service), Node: []byte(node), ID: []byte("c"), Status: int32(healthpb.HealthCheck_OK),
		Interval: 365 * 24 * 3600, TTL: 700 * 24 * 3600,
	}
}

// flaky is a registry that can fail.
type flaky struct {
	registry.Registry
	down atomic.Bool
}

func (f *flaky) ListServices(opts ...registry.ListOption) ([]*registry.Service, error) {
	if f.down.Load() {
		return nil, errors.New("down")
	}
	return f.Registry.ListServices(opts...)
}

// Long intervals are believed of what is registered, whether the registry or the event comes
// first, and for as long as the report of a node that has left is held.
// Faults: S6.
func TestRegisteredNodesAreBelieved(t *testing.T) {
	memory := registry.NewMemoryRegistry() // it has a goroutine that never ends
	synctest.Test(t, func(t *testing.T) {
		reg := &flaky{Registry: memory}
		s := store.New(store.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- NewRegistered(reg, s).Run(ctx) }()
		interval := func(service, node string) time.Duration {
			page, err := s.Checks(store.Query{Service: service, Node: node, Missing: true})
			if err != nil || len(page.Items) != 1 {
				t.Fatalf("%s of %s: %+v, %v", node, service, page.Items, err)
			}
			return page.Items[0].Interval
		}
		s.Put(report("shop", "shop-1"))
		s.Put(report("shop", "invented"))
		service := &registry.Service{Name: "shop", Version: "1", Nodes: []*registry.Node{{Id: "shop-1", Address: "x:1"}, {Id: "shop-2", Address: "x:2"}}}
		if err := reg.Register(service); err != nil {
			t.Fatal(err)
		}
		time.Sleep(registeredInterval + time.Second)
		s.Put(report("shop", "2")) // as in 2016
		const year = 365 * 24 * time.Hour
		if a, b, c := interval("shop", "shop-1"), interval("shop", "2"), interval("shop", "invented"); a != year || b != year || c != time.Hour {
			t.Errorf("believed are %v and %v, and %v of what is invented", a, b, c)
		}
		reg.down.Store(true)
		time.Sleep(time.Minute)
		if a := interval("shop", "shop-1"); a != year {
			t.Errorf("without the registry %v is believed", a)
		}
		reg.down.Store(false)
		if err := reg.Deregister(service); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if a := interval("shop", "shop-1"); a != year {
			t.Errorf("of a node that has left %v is believed", a)
		}
		s.Forget(report("shop", "shop-1"))
		time.Sleep(time.Minute)
		s.Put(report("shop", "shop-1"))
		if a := interval("shop", "shop-1"); a != time.Hour {
			t.Errorf("of a node that has left and was forgotten %v is believed", a)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// counted counts lookups.
type counted struct {
	registry.Registry
	lookups int
}

func (c *counted) GetService(name string, opts ...registry.GetOption) ([]*registry.Service, error) {
	c.lookups++
	return c.Registry.GetService(name, opts...)
}

func TestRegisteredLooksUpFewServicesAtATime(t *testing.T) {
	reg := &counted{Registry: registry.NewMemoryRegistry()}
	for i := range 500 {
		name := fmt.Sprint("s", i)
		if err := reg.Register(&registry.Service{Name: name, Nodes: []*registry.Node{{Id: name}}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"micro.http.broker", "topic:micro.monitor.status"} {
		if err := reg.Register(&registry.Service{Name: name, Nodes: []*registry.Node{{Id: name}}}); err != nil {
			t.Fatal(err)
		}
	}
	s := store.New(store.Config{})
	r := NewRegistered(reg, s)
	for _, want := range []int{newLookups, newLookups + oldLookups, 100 + oldLookups, oldLookups, oldLookups} {
		reg.lookups = 0
		if r.follow(t.Context()); reg.lookups != want {
			t.Errorf("%d lookups in a round, want %d", reg.lookups, want)
		}
	}
}

// What a monitor of events names is believed while the monitor is there.
// Faults: S6.
func TestWatchedServicesAreBelieved(t *testing.T) {
	s := store.New(store.Config{})
	local := NewLocal(s)
	first, second := local.Watch("shop"), local.Watch("shop")
	s.Put(report("shop", "n"))
	for i, want := range []time.Duration{365 * 24 * time.Hour, 365 * 24 * time.Hour, time.Hour} {
		page, err := s.Checks(store.Query{Service: "shop"})
		if err != nil || page.Items[0].Interval != want {
			t.Errorf("after %d ends: %+v, %v, want %v", i, page.Items, err, want)
		}
		[]func(){first, second, func() {}}[i]()
	}
	first() // once more does nothing
	third := local.Watch("shop")
	if page, err := s.Checks(store.Query{Service: "shop"}); err != nil || page.Items[0].Interval == time.Hour {
		t.Errorf("watched again: %+v, %v", page.Items, err)
	}
	third()
}

// A service of which all nodes were stopped is stopped also when nothing of what it published
// is held any more.
// Faults: M3.
func TestServicesScaledToZeroAreStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.New(store.Config{})
		local := NewLocal(s)
		now := time.Now().Unix()
		for _, node := range []string{"a", "b"} {
			check := report("shop", node)
			check.Interval, check.TTL, check.Timestamp = 10, 60, now
			s.Put(check)
			s.Put(&store.Event{Kind: store.KindStats, Service: []byte("shop"), Node: []byte(node), Timestamp: now, TTL: 60})
			s.Put(&store.Event{Kind: store.KindStatus, Service: []byte("shop"), Node: []byte(node), Timestamp: now, Status: int32(healthpb.Status_STOPPED)})
		}
		for _, after := range []time.Duration{0, time.Hour} {
			time.Sleep(after)
			checks, err := local.Checks(t.Context(), "shop", "c", "")
			if err != nil || len(checks) != 2 || !checks[0].Stopped || !checks[1].Stopped {
				t.Errorf("after %v: checks %+v, %v", after, checks, err)
			}
			nodes, err := local.Stats(t.Context(), "shop")
			if err != nil || len(nodes) != 2 || !nodes[0].Stopped || !nodes[1].Stopped {
				t.Errorf("after %v: stats %+v, %v", after, nodes, err)
			}
		}
	})
}
