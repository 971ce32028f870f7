package discovery

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/client"
	merrors "go-micro.dev/v4/errors"
	"go-micro.dev/v4/registry"

	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/probe"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

func TestLocalShowsWhatServicesPublished(t *testing.T) {
	t.Parallel()
	s := store.New(store.Config{MaxEntries: 1000, Retention: time.Hour})
	put := func(node, id string, status healthpb.HealthCheck_Status) {
		s.Put(&store.Event{
			Kind: store.KindCheck, Service: []byte("shop"), Version: []byte("1"), Node: []byte(node), ID: []byte(id),
			Status: int32(status), Interval: 60, TTL: 600,
		})
	}
	put("a", "db", healthpb.HealthCheck_OK)
	put("b", "db", healthpb.HealthCheck_ERROR)
	put("b", "disk", healthpb.HealthCheck_WARNING)
	l := NewLocal(s)
	got, err := l.Checks(t.Context(), "shop", "db", "")
	if err != nil || len(got) != 2 || got[0].Node != "a" || got[0].Status != probe.CheckOK || got[1].Status != probe.CheckError || got[1].Stale {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err = l.Checks(t.Context(), "shop", "", "b"); err != nil || len(got) != 2 {
		t.Errorf("checks of one node: got %+v, %v", got, err)
	}
	if got, err = l.Checks(t.Context(), "nobody", "db", ""); err != nil || len(got) != 0 {
		t.Errorf("an unknown service: got %+v, %v", got, err)
	}
	if stats, err := l.Stats(t.Context(), "shop"); err != nil || len(stats) != 0 {
		t.Errorf("stats: got %+v, %v", stats, err)
	}
}

func TestStatsOfANode(t *testing.T) {
	t.Parallel()
	got := nodeStats(&healthpb.Stats{Endpoints: []*healthpb.Endpoint{
		{Method: "Shop.Buy", Success: &healthpb.Metrics{Count: 3, Mean: 2}},
		{Method: "Bank.Pay", Side: healthpb.Endpoint_CLIENT},
	}}, "a", 16*time.Second)
	if got.Node != "a" || got.Age != 16*time.Second || len(got.Endpoints) != 1 || got.Endpoints[0].Method != "Shop.Buy" || got.Endpoints[0].Success.Count != 3 {
		t.Errorf("got %+v", got)
	}
	if !overdue(16*time.Second, 10*time.Second) || overdue(15*time.Second, 10*time.Second) {
		t.Error("the grace is not half of the interval")
	}
}

func TestCallerFindsNodesAndSaysWhatFailed(t *testing.T) {
	t.Parallel()
	r := registry.NewMemoryRegistry()
	for _, version := range []string{"1", "2"} {
		node := &registry.Node{Id: "shop-" + version, Address: "127.0.0.1:" + version}
		if err := r.Register(&registry.Service{Name: "shop", Version: version, Nodes: []*registry.Node{node}}); err != nil {
			t.Fatal(err)
		}
	}
	c := NewCaller(r, client.NewClient(client.Registry(r)))
	if nodes, err := c.Nodes(t.Context(), "shop"); err != nil || len(nodes) != 2 {
		t.Errorf("got %+v, %v", nodes, err)
	}
	if nodes, err := c.Nodes(t.Context(), "nobody"); err != nil || len(nodes) != 0 {
		t.Errorf("an unknown service: got %+v, %v", nodes, err)
	}
	_, err := c.Call(t.Context(), probe.Call{Service: "nobody", Endpoint: "Nobody.Home"})
	if err == nil || strings.Contains(err.Error(), "{") || !strings.Contains(err.Error(), "500 go.micro.client") {
		t.Errorf("a call to nobody: %v", err)
	}
	if err := sentence(merrors.NotFound("shop", "")); err.Error() != "no reason given (404 shop)" {
		t.Errorf("got %v", err)
	}
}

func TestRemoteSaysWhyItSeesNothing(t *testing.T) {
	t.Parallel()
	var unopened Remote
	if _, err := unopened.Nodes(t.Context(), "shop"); !errors.Is(err, errNoRegistry) {
		t.Errorf("without a registry: %v", err)
	}
	if _, err := unopened.Checks(t.Context(), "shop", "db", ""); !errors.Is(err, errNoRegistry) {
		t.Errorf("without a registry: %v", err)
	}
	reg := guardregistry.New(guardregistry.Config{Name: "memory", Open: func(context.Context) (registry.Registry, error) {
		return registry.NewMemoryRegistry(), nil
	}})
	var r Remote
	r.Open(RemoteConfig{Registry: reg, Client: client.NewClient(client.Registry(reg)), Instance: "monitor", Settings: "--registry"})
	waiting, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := r.Nodes(waiting, "shop"); err == nil {
		t.Error("a registry that is not open has nodes")
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- reg.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	_, err := r.Stats(t.Context(), "shop")
	const want = "no instance of monitor, which receives what services publish, is found in the registry memory: start one, or name another registry with --registry"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
