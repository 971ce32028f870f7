package ingest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

func newDecoder() *decoder { return &decoder{transcoders: newTranscoders()} }

// decoded returns a decoder with an event that it accepted.
func decoded(t *testing.T, kind store.Kind, wire []byte) *decoder {
	t.Helper()
	d := newDecoder()
	if rej := d.decode(kind, wire); rej.reason != accepted {
		t.Fatal(rej)
	}
	return d
}

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

var kinds = []store.Kind{store.KindCheck, store.KindStatus, store.KindStats}

func TestDecodeSaysWhatProtobufSays(t *testing.T) {
	for _, kind := range kinds {
		want := eventtest.Typical(kind)
		wire := eventtest.Wire(t, want)
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
		wire := eventtest.Wire(t, eventtest.Typical(kind))
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
	m := eventtest.Check()
	for i := range 10000 {
		m.Service.Nodes = append(m.Service.Nodes, &healthpb.Node{Id: fmt.Sprint("node-", i)})
	}
	wire := eventtest.Wire(t, m)
	d := newDecoder()
	allocs := testing.AllocsPerRun(10, func() {
		if rej := d.decode(store.KindCheck, wire); rej.reason != accepted {
			t.Fatal(rej)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
	if got := string(d.event.Node); got != eventtest.Check().Service.Nodes[0].Id {
		t.Errorf("node %q, want the first", got)
	}
	if !d.repairs.has(repairNodes) {
		t.Error("not counted")
	}
}

// Faults: T62.
func TestTruncatedEventsAreRejectedOrShorter(t *testing.T) {
	for _, kind := range kinds {
		wire := eventtest.Wire(t, eventtest.Typical(kind))
		for n := range wire {
			d := newDecoder()
			rej := d.decode(kind, wire[:n])
			if whole := eventtest.Typical(kind).ProtoReflect().New().Interface(); proto.Unmarshal(wire[:n], whole) != nil && rej.reason == accepted {
				t.Errorf("kind %d cut at %d: accepted what protobuf refuses", kind, n)
			}
		}
	}
}

func TestFieldsFrom16OnOfPublishersAreIgnored(t *testing.T) {
	m := eventtest.Check()
	m.Received, m.Since, m.Reported, m.Source, m.Missing, m.Skewed = 1, 2, 3, healthpb.HealthCheck_CONSUL, true, true
	d := decoded(t, store.KindCheck, eventtest.Wire(t, m))
	if diff := cmp.Diff(proto.Message(eventtest.Check()), message(t, &d.event), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d.event.Source != healthpb.HealthCheck_EVENT {
		t.Errorf("source %v, want EVENT", d.event.Source)
	}
}

func oldService() *healthpb.Service {
	return &healthpb.Service{
		Name: "go.micro.srv.pong", Version: "1.0.0", Nodes: []*healthpb.Node{{Id: eventtest.OldNode}},
	}
}

// oldMessage returns what those events say.
func oldMessage(kind store.Kind) proto.Message {
	switch kind {
	case store.KindCheck:
		return &healthpb.HealthCheck{
			Id: "go.micro.healthcheck.pong", Description: "This is a pong healthcheck",
			Timestamp: 1478822400, Interval: 60, Ttl: 3600,
			Service: oldService(),
			Status:  healthpb.HealthCheck_ERROR,
			Results: map[string]string{
				"foo": "ugh", "label": "", "metric": "-0.0001", "msg": "a failed check", "stats": "NaN",
			},
			Error: "Unknown exception",
		}
	case store.KindStatus:
		return &healthpb.Status{
			Service: oldService(), Status: healthpb.Status_RUNNING,
			Timestamp: 1478822400, Interval: 60, Ttl: 3600,
		}
	}
	return &healthpb.Stats{
		Service: oldService(), Timestamp: 1478822400, Interval: 60, Ttl: 3600,
		Cpu:     &healthpb.CPU{UserTime: 120000000, SystemTime: 40000000, VolCtxSwitch: 512, InvCtxSwitch: 3},
		Memory:  &healthpb.Memory{MaxRss: 14336},
		Disk:    &healthpb.Disk{OuBlock: 8},
		Runtime: &healthpb.Runtime{NumThreads: 14, HeapTotal: 5242880, HeapInUse: 2097152},
		Endpoints: []*healthpb.Endpoint{{
			Service: "go.micro.srv.pong", Method: "Pong.Ping",
			Errors:  &healthpb.Metrics{Count: 1, Mean: 1.5e6, Upper95: 1.5e6},
			Success: &healthpb.Metrics{Count: 41, Mean: 2.25e6, StdDev: 5e5, Upper95: 3e6},
			Dropped: &healthpb.Metrics{},
		}},
	}
}

func TestEventsOfOldPublishersAreTaken(t *testing.T) {
	for _, kind := range kinds {
		for _, json := range []bool{false, true} {
			body, ct := eventtest.Old(t, kind, json)
			d := newDecoder()
			if rej := d.decodeMessage(kind, map[string]string{"Content-Type": ct}, body); rej.reason != accepted {
				t.Errorf("%T as %s: %v", oldMessage(kind), ct, rej)
				continue
			}
			if d.repairs != 0 {
				t.Errorf("%T as %s: repairs %b", oldMessage(kind), ct, d.repairs)
			}
			if diff := cmp.Diff(oldMessage(kind), message(t, &d.event), protocmp.Transform()); diff != "" {
				t.Errorf("%T as %s (-want +got):\n%s", oldMessage(kind), ct, diff)
			}
		}
	}
}
