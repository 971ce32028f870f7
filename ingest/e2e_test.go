package ingest

import (
	"bytes"
	"testing"
	"time"

	natsbroker "github.com/go-micro/plugins/v4/broker/nats"
	"github.com/google/go-cmp/cmp"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/microhq/monitor-srv/handler"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	"github.com/microhq/monitor-srv/internal/testkit/natstest"
	"github.com/microhq/monitor-srv/internal/testkit/rpctest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

// buses returns for each kind of broker a subscriber's and a publisher's side.
func buses(t *testing.T) map[string][2]broker.Broker {
	url := natstest.Start(t, nil).URL()
	// One registry for both sides, as Consul would be.
	reg := registry.NewMemoryRegistry()
	http := func() broker.Broker { return broker.NewBroker(broker.Registry(reg), broker.Addrs("127.0.0.1:0")) }
	nats := func() broker.Broker { return natsbroker.NewBroker(broker.Addrs(url)) }
	return map[string][2]broker.Broker{
		"http": {connect(t, http()), connect(t, http())},
		"nats": {connect(t, nats()), connect(t, nats())},
	}
}

// ready waits until what is published arrives. NATS takes up a subscription some
// time after Subscribe has returned.
func ready(t testing.TB, pub broker.Broker, events *Events) {
	t.Helper()
	for _, topic := range topics {
		testkit.Eventually(t, 20*time.Second, "hearing "+topic, func() bool {
			if err := pub.Publish(topic, &broker.Message{}); err != nil {
				t.Fatal(err)
			}
			return events.Counters().Topics[topic].Received > 0
		})
	}
}

// publishOld publishes the events of old publishers as raw bytes, those in JSON
// as of another node.
func publishOld(t *testing.T, b broker.Broker) {
	t.Helper()
	for _, kind := range kinds {
		for _, json := range []bool{false, true} {
			body, contentType := eventtest.Old(t, kind, json)
			if json {
				body = bytes.ReplaceAll(body, []byte(eventtest.OldNode), []byte("json-node"))
			}
			m := &broker.Message{Header: map[string]string{"Content-Type": contentType}, Body: body}
			if err := b.Publish(topics[kind], m); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// publishNew publishes with go-micro's client in both its content types, as of
// the nodes 1 and 2.
func publishNew(t *testing.T, b broker.Broker) {
	t.Helper()
	c := client.NewClient(client.Broker(b))
	for i, contentType := range []string{"application/json", "application/protobuf"} {
		for _, m := range []proto.Message{
			eventtest.OfNode(i+1, eventtest.Check()), eventtest.OfNode(i+1, eventtest.Status()), eventtest.OfNode(i+1, eventtest.Stats()),
		} {
			msg := c.NewMessage(topics[eventtest.KindOf[store.Kind](m)], m, client.WithMessageContentType(contentType))
			if err := c.Publish(t.Context(), msg); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestEventsOfOldAndNewPublishersOverBothBrokers(t *testing.T) {
	for name, sides := range buses(t) {
		t.Run(name, func(t *testing.T) {
			st := store.New(store.Config{})
			events := runEvents(t, sides[0], st)
			ready(t, sides[1], events)
			publishOld(t, sides[1])
			publishNew(t, sides[1])
			testkit.Eventually(t, 20*time.Second, "12 events", func() bool {
				c := st.Counters()
				return c.Checks == 4 && c.Statuses == 4 && c.Stats == 4
			})
			if c := events.Counters(); c.Rejected["malformed"]+c.Rejected["content_type"] != 0 {
				t.Errorf("rejected %v", c.Rejected)
			}
			p := serve(t, handler.NewMonitor(handler.Config{Store: st, Instance: "monitor-1"}))
			for _, contentType := range []string{"application/protobuf", "application/json"} {
				seen(t, p, contentType)
			}
			listEverything(t, &view{st, events})
		})
	}
}

// seen verifies that what was published is listed as it was said.
func seen(t *testing.T, p *rpctest.Port, contentType string) {
	t.Helper()
	c := p.Client(contentType)
	for node, said := range map[string]func(store.Kind) proto.Message{
		eventtest.OldNode: oldMessage, "json-node": oldMessage, "node-0001": eventtest.Typical[store.Kind], "node-0002": eventtest.Typical[store.Kind],
	} {
		checks, err := c.HealthChecks(t.Context(), &monitorpb.HealthChecksRequest{Node: node}, p.At())
		if err != nil || len(checks.HealthChecks) != 1 {
			t.Errorf("%s of %s: %v %v", contentType, node, checks, err)
			continue
		}
		statuses, err := c.Status(t.Context(), &monitorpb.StatusRequest{Id: node, Verbose: true}, p.At())
		if err != nil || len(statuses.Statuses) != 1 {
			t.Errorf("%s of %s: %v %v", contentType, node, statuses, err)
			continue
		}
		stats, err := c.Stats(t.Context(), &monitorpb.StatsRequest{Id: node}, p.At())
		if err != nil || len(stats.Stats) != 1 {
			t.Errorf("%s of %s: %v %v", contentType, node, stats, err)
			continue
		}
		for _, got := range []proto.Message{checks.HealthChecks[0], statuses.Statuses[0], stats.Stats[0]} {
			want := said(eventtest.KindOf[store.Kind](got))
			service := want.(interface{ GetService() *healthpb.Service }).GetService()
			service.Id, service.Nodes[0].Id = node, node
			ours := protocmp.FilterField(got, "received", cmp.Ignore())
			if diff := cmp.Diff(want, got, protocmp.Transform(), ours,
				protocmp.IgnoreFields(&healthpb.HealthCheck{}, "since", "skewed", "status_name"),
				protocmp.IgnoreFields(&healthpb.Status{}, "since", "skewed", "status_name"),
				protocmp.IgnoreFields(&healthpb.Stats{}, "skewed"),
			); diff != "" {
				t.Errorf("%s of %s (-want +got):\n%s", contentType, node, diff)
			}
		}
	}
}

// Two replicas must each see every event.
// Faults: A20.
func TestEveryReplicaSeesEveryEvent(t *testing.T) {
	for name, sides := range buses(t) {
		t.Run(name, func(t *testing.T) {
			first, second := store.New(store.Config{}), store.New(store.Config{})
			// The publisher's side stands for a second instance. Both subscribe before
			// anything is published, because publishers remember who listens.
			replicas := []*Events{runEvents(t, sides[0], first), runEvents(t, sides[1], second)}
			for _, events := range replicas {
				ready(t, sides[1], events)
			}
			publishOld(t, sides[1])
			for _, st := range []*store.Store{first, second} {
				testkit.Eventually(t, 20*time.Second, "6 events", func() bool {
					c := st.Counters()
					return c.Checks == 2 && c.Statuses == 2 && c.Stats == 2
				})
			}
		})
	}
}
