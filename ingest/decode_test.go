package ingest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

func newDecoder() *decoder { return &decoder{transcoders: newTranscoders()} }

// message rebuilds the message that an event stands for, as far as the store
// keeps it.
func message(t testing.TB, e *store.Event) proto.Message {
	t.Helper()
	node := &healthpb.Node{}
	if err := proto.Unmarshal(e.Metadata, node); err != nil {
		t.Fatalf("metadata: %v", err)
	}
	node.Id, node.Address = string(e.Node), string(e.Address)
	service := &healthpb.Service{
		Name: string(e.Service), Version: string(e.Version), Nodes: []*healthpb.Node{node},
	}
	var m proto.Message
	switch e.Kind {
	case store.KindCheck:
		m = &healthpb.HealthCheck{
			Id: string(e.ID), Description: string(e.Description), Service: service,
			Timestamp: e.Timestamp, Interval: e.Interval, Ttl: e.TTL,
			Status: healthpb.HealthCheck_Status(e.Status),
		}
	case store.KindStatus:
		m = &healthpb.Status{
			Service: service, Timestamp: e.Timestamp, Interval: e.Interval, Ttl: e.TTL,
			Status: healthpb.Status_Status(e.Status),
		}
	default:
		m = &healthpb.Stats{Service: service, Timestamp: e.Timestamp, Interval: e.Interval, Ttl: e.TTL}
	}
	if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(e.Body, m); err != nil {
		t.Fatalf("body: %v", err)
	}
	return m
}

func typicalStatus() *healthpb.Status {
	return &healthpb.Status{
		Service:   typicalCheck().Service,
		Status:    healthpb.Status_RUNNING,
		Info:      "serving",
		Timestamp: 1763760000,
		Interval:  10,
		Ttl:       3600,
	}
}

func typicalStats() *healthpb.Stats {
	return &healthpb.Stats{
		Service:   typicalCheck().Service,
		Timestamp: 1763760000,
		Interval:  60,
		Ttl:       3600,
		Cpu:       &healthpb.CPU{UserTime: 1e9, SystemTime: 2e8, VolCtxSwitch: 17, InvCtxSwitch: 4},
		Memory:    &healthpb.Memory{MaxRss: 20480},
		Disk:      &healthpb.Disk{InBlock: 8, OuBlock: 16},
		Runtime:   &healthpb.Runtime{NumThreads: 12, HeapTotal: 4 << 20, HeapInUse: 2 << 20},
		Endpoints: []*healthpb.Endpoint{
			{
				Service: "go.micro.srv.pong", Method: "Pong.Ping",
				Errors:  &healthpb.Metrics{Count: 2, Mean: 1e6, StdDev: 1e5, Upper95: 1.2e6},
				Success: &healthpb.Metrics{Count: 100, Mean: 2e6, StdDev: 3e5, Upper95: 2.5e6},
			},
			{Service: "go.micro.srv.ping", Method: "Ping.Call", Side: healthpb.Endpoint_CLIENT},
		},
	}
}

func typical(kind store.Kind) proto.Message {
	switch kind {
	case store.KindCheck:
		return typicalCheck()
	case store.KindStatus:
		return typicalStatus()
	default:
		return typicalStats()
	}
}

var kinds = []store.Kind{store.KindCheck, store.KindStatus, store.KindStats}

func TestDecodeSaysWhatProtobufSays(t *testing.T) {
	for _, kind := range kinds {
		want := typical(kind)
		wire := wireOf(t, want)
		d := newDecoder()
		if rej := d.decode(kind, wire); rej.reason != accepted {
			t.Fatalf("%T: %v", want, rej)
		}
		if diff := cmp.Diff(want, message(t, &d.event), protocmp.Transform()); diff != "" {
			t.Errorf("%T (-want +got):\n%s", want, diff)
		}
		if d.repairs != 0 {
			t.Errorf("%T: repairs %b in an event that needs none", want, d.repairs)
		}
		if len(d.event.Body) == 0 || &d.event.Body[0] != &wire[bytes.Index(wire, d.event.Body)] {
			t.Errorf("%T: the body of an event that needs no repair was copied", want)
		}
	}
}

func TestDecodeOfATypicalEventDoesNotAllocate(t *testing.T) {
	for _, kind := range kinds {
		wire := wireOf(t, typical(kind))
		d := newDecoder()
		allocs := testing.AllocsPerRun(100, func() {
			if rej := d.decode(kind, wire); rej.reason != accepted {
				t.Fatal(rej)
			}
		})
		if allocs != 0 {
			t.Errorf("kind %d: %v allocations, want 0", kind, allocs)
		}
	}
}

// Faults: T62.
func TestTenThousandNodesCostNoMoreThanTheirBytes(t *testing.T) {
	m := typicalCheck()
	for i := range 10000 {
		m.Service.Nodes = append(m.Service.Nodes, &healthpb.Node{Id: fmt.Sprint("node-", i)})
	}
	wire := wireOf(t, m)
	d := newDecoder()
	allocs := testing.AllocsPerRun(10, func() {
		if rej := d.decode(store.KindCheck, wire); rej.reason != accepted {
			t.Fatal(rej)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
	if got := string(d.event.Node); got != typicalCheck().Service.Nodes[0].Id {
		t.Errorf("node %q, want the first", got)
	}
	if !d.repairs.has(repairNodes) {
		t.Error("not counted")
	}
}

// Faults: T62.
func TestTruncatedEventsAreRejectedOrShorter(t *testing.T) {
	for _, kind := range kinds {
		wire := wireOf(t, typical(kind))
		for n := range wire {
			d := newDecoder()
			rej := d.decode(kind, wire[:n])
			if whole := typical(kind).ProtoReflect().New().Interface(); proto.Unmarshal(wire[:n], whole) != nil && rej.reason == accepted {
				t.Errorf("kind %d cut at %d: accepted what protobuf refuses", kind, n)
			}
		}
	}
}

func TestFieldsFrom16OnOfPublishersAreIgnored(t *testing.T) {
	m := typicalCheck()
	m.Received, m.Since, m.Reported, m.Source, m.Missing, m.Skewed = 1, 2, 3, healthpb.HealthCheck_CONSUL, true, true
	d := newDecoder()
	if rej := d.decode(store.KindCheck, wireOf(t, m)); rej.reason != accepted {
		t.Fatal(rej)
	}
	if diff := cmp.Diff(proto.Message(typicalCheck()), message(t, &d.event), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d.event.Source != healthpb.HealthCheck_EVENT {
		t.Errorf("source %v, want EVENT", d.event.Source)
	}
}
