package service

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/discovery"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

// Consul may know a node that go-micro did not register: its entry has no metadata.
//
// Faults: P6.
func TestAnyNodeIsCalledAsEachOfThemIs(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Content-Type"); got != "application/json" {
			http.Error(w, "unsupported content type "+got, http.StatusUnsupportedMediaType)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"well": true}`)
	}))
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	network, err := newNetwork(aloneConfig(t), testkit.QuietLog())
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, network.registry)
	// A call of any node may take either of the two.
	shop := &registry.Service{Name: "shop", Nodes: []*registry.Node{
		{Id: "foreign", Address: address}, {Id: "registered", Address: address, Metadata: map[string]string{"protocol": "mucp"}},
	}}
	if err := network.registry.Register(shop); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, "both nodes are registered", func() bool {
		found, err := network.registry.GetService("shop")
		return err == nil && len(found) == 1 && len(found[0].Nodes) == 2
	})
	for name, client := range map[string]client.Client{
		"instance": network.client, "other process": NewClient(network.registry, 0, testkit.QuietLog()),
	} {
		c := discovery.NewCaller(network.registry, client)
		for _, node := range []probe.Node{{}, {ID: "foreign", Address: address}} {
			for range 40 {
				answer, err := c.Call(t.Context(), probe.Call{Service: "shop", Endpoint: "Shop.Well", Request: []byte("{}"), Node: node})
				if err != nil || string(answer) != `{"well": true}` {
					t.Fatalf("%s: node %q: %s, %v", name, node.ID, answer, err)
				}
			}
		}
	}
}
