package ingest

import (
	"encoding/json"
	"math"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/microhq/monitor-srv/handler"
	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

// fuzzEvent takes one event with an empty store, lists it and verifies that the
// answers can be encoded, and that they say what the message says.
func fuzzEvent(t *testing.T, kind store.Kind, contentType string, body []byte, said proto.Message) {
	v := newViewOf(store.Config{Transitions: 16})
	v.feed(kind, contentType, body)
	c := v.events.Counters()
	checkSum(t, c, 0)
	if c.Rejected["internal"] > 0 {
		t.Fatalf("panic in %q", body)
	}
	m := v.monitor()
	answers := answersOf(t, m)
	if c.Topics[topics[kind]].Accepted == 0 {
		if n := v.store.Counters(); n.Services != 0 {
			t.Fatalf("rejected, but held: %+v", n)
		}
		return
	}
	for _, answer := range answers {
		wire, err := proto.Marshal(answer)
		if err != nil {
			t.Fatalf("%v: %v", answer, err)
		}
		again := answer.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(wire, again); err != nil || !proto.Equal(answer, again) {
			t.Fatalf("%v: %v", answer, err)
		}
		text, err := json.Marshal(answer)
		if err != nil || !utf8.Valid(text) {
			t.Fatalf("%v: %v", answer, err)
		}
		if _, err := protojson.Marshal(answer); err != nil {
			t.Fatalf("%v: %v", answer, err)
		}
	}
	restart(t, v.store)
	repaired := uint64(0)
	for _, n := range c.Repaired {
		repaired += n
	}
	if said != nil && repaired == 0 {
		sameEvent(t, said, answers)
	}
}

// restart verifies that a snapshot of a store can be restored.
func restart(t *testing.T, s *store.Store) {
	next := store.New(store.Config{Transitions: 16})
	if err := s.WriteSnapshot(func(record []byte) error { return next.ReadSnapshot(store.SnapshotVersion, record) }); err != nil {
		t.Fatal(err)
	}
	next.Resume(0)
	is, was := next.Counters(), s.Counters()
	if is.Checks != was.Checks || is.Statuses != was.Statuses || is.Stats != was.Stats || is.Bytes != was.Bytes {
		t.Fatalf("restored are %+v of %+v", is, was)
	}
}

// answersOf returns the answers about checks, about statuses, about stats and about
// services as messages.
func answersOf(t *testing.T, m *handler.Monitor) []proto.Message {
	checks := new(handler.HealthChecksResponse)
	status, stats, services := new(monitorpb.StatusResponse), new(monitorpb.StatsResponse), new(monitorpb.ServicesResponse)
	ctx := t.Context()
	for _, err := range []error{
		m.HealthChecks(ctx, &monitorpb.HealthChecksRequest{Missing: true}, checks),
		m.Status(ctx, &monitorpb.StatusRequest{Verbose: true, Missing: true}, status),
		m.Stats(ctx, &monitorpb.StatsRequest{Missing: true}, stats),
		m.Services(ctx, &monitorpb.ServicesRequest{}, services),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return []proto.Message{messageOf(t, checks), status, stats, services}
}

// messageOf returns an answer as a message, and verifies that its protobuf and its JSON
// are those of the message.
func messageOf(t *testing.T, answer *handler.HealthChecksResponse) *monitorpb.HealthChecksResponse {
	want := &monitorpb.HealthChecksResponse{
		Total: answer.Total, Cursor: answer.Cursor, Instance: answer.Instance, Started: answer.Started, More: answer.More,
	}
	for _, c := range answer.HealthChecks {
		want.HealthChecks = append(want.HealthChecks, c.Proto())
	}
	got := new(monitorpb.HealthChecksResponse)
	encoded, err := answer.Marshal()
	if err == nil {
		err = proto.Unmarshal(encoded, got)
	}
	if err != nil || !proto.Equal(want, got) {
		t.Fatalf("got %v, want %v: %v", got, want, err)
	}
	wantJSON, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := answer.MarshalJSON(); err != nil || string(text) != string(wantJSON) {
		t.Fatalf("got  %s\nwant %s: %v", text, wantJSON, err)
	}
	return want
}

// sameEvent verifies that the answers say what the event said, but for the
// figures that the store clamps or adds.
func sameEvent(t *testing.T, said proto.Message, answers []proto.Message) {
	var got proto.Message
	switch said := said.(type) {
	case *healthpb.HealthCheck:
		answer := answers[0].(*monitorpb.HealthChecksResponse).HealthChecks[0]
		got = &healthpb.HealthCheck{
			Id: answer.Id, Description: answer.Description, Service: answer.Service, Status: answer.Status,
			Results: answer.Results, Error: answer.Error,
		}
		said.Timestamp, said.Interval, said.Ttl = 0, 0, 0
		said.Received, said.Since, said.Reported, said.Source, said.Missing, said.Skewed = 0, 0, 0, 0, false, false
	case *healthpb.Status:
		answer := answers[1].(*monitorpb.StatusResponse).Statuses[0]
		got = &healthpb.Status{Service: answer.Service, Status: answer.Status, Info: answer.Info}
		said.Timestamp, said.Interval, said.Ttl = 0, 0, 0
		said.Received, said.Since, said.Reported, said.Missing, said.Skewed = 0, 0, 0, false, false
		said.UnknownNodes, said.StartedNodes, said.RunningNodes, said.StoppedNodes = 0, 0, 0, 0
	case *healthpb.Stats:
		answer := answers[2].(*monitorpb.StatsResponse).Stats[0]
		got = &healthpb.Stats{
			Service: answer.Service, Cpu: answer.Cpu, Memory: answer.Memory, Disk: answer.Disk,
			Runtime: answer.Runtime, Endpoints: answer.Endpoints,
		}
		said.Timestamp, said.Interval, said.Ttl, said.Received, said.Missing, said.Skewed = 0, 0, 0, 0, false, false
	}
	for _, own := range []protoreflect.Name{"stopped", "status_name"} { // which only we write
		if fd := said.ProtoReflect().Descriptor().Fields().ByName(own); fd != nil {
			said.ProtoReflect().Clear(fd)
		}
	}
	service := said.(interface{ GetService() *healthpb.Service }).GetService()
	service.Id = service.Nodes[0].Id
	service.Nodes[0].Conflict = false
	dropEmpty(said.ProtoReflect())
	dropEmpty(got.ProtoReflect())
	if !proto.Equal(said, got) {
		t.Fatalf("said %v\ngot  %v", said, got)
	}
}

// dropEmpty clears single messages without content and floats of minus zero,
// which say the same as none.
func dropEmpty(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				dropEmpty(v.List().Get(i).Message())
			}
		case fd.IsMap():
		case fd.Message() != nil:
			dropEmpty(v.Message())
			if proto.Size(v.Message().Interface()) == 0 {
				m.Clear(fd)
			}
		case fd.Kind() == protoreflect.DoubleKind && v.Float() == 0:
			m.Clear(fd)
		}
		return true
	})
}

// fuzzEvents fuzzes events of a content type, which unmarshal reads.
func fuzzEvents(f *testing.F, contentType string, unmarshal func([]byte, proto.Message) error) {
	f.Fuzz(func(t *testing.T, k uint8, body []byte) {
		kind := kinds[int(k)%len(kinds)]
		said := newMessage(kind)
		if unmarshal(body, said) != nil {
			said = nil
		}
		fuzzEvent(t, kind, contentType, body, said)
	})
}

// Faults: T62.
func FuzzEventProto(f *testing.F) {
	for _, kind := range kinds {
		old, _ := eventtest.Old(f, kind, false)
		f.Add(uint8(kind), old)
		f.Add(uint8(kind), eventtest.Wire(f, eventtest.Typical(kind)))
	}
	f.Add(uint8(0), identityOf("s", "1", "n", "x"))
	bad := eventtest.Stats()
	bad.Endpoints[0].Errors = &healthpb.Metrics{Count: -1, Mean: math.NaN(), StdDev: math.Inf(1)}
	f.Add(uint8(2), eventtest.Wire(f, bad))
	fuzzEvents(f, "application/protobuf", proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal)
}

// Faults: T62.
func FuzzEventJSON(f *testing.F) {
	for _, kind := range kinds {
		old, _ := eventtest.Old(f, kind, true)
		f.Add(uint8(kind), old)
		text, err := protojson.Marshal(eventtest.Typical(kind))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(kind), text)
	}
	f.Add(uint8(0), []byte(`{"id":"x","service":{"name":"s","nodes":[{"id":"n"}]},"results":{"\u00e9":"\n"},"status":"9"}`))
	f.Add(uint8(0), []byte(`{"ID":7,"service":"s","node":"n","status":"up","timestamp":1.5,"interval":"10s","results":{"a":NaN,"b":[null]}}`))
	fuzzEvents(f, "application/json", protojson.Unmarshal)
}
