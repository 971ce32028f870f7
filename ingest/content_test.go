package ingest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go-micro.dev/v4/codec/grpc"
	stock "go-micro.dev/v4/codec/json"
	"go-micro.dev/v4/codec/jsonrpc"
	"go-micro.dev/v4/codec/protorpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

func TestFormatOf(t *testing.T) {
	for _, c := range []struct {
		header map[string]string
		body   string
		want   format
	}{
		{map[string]string{"Content-Type": "application/protobuf"}, "{", formatProto},
		{map[string]string{"Content-Type": "application/grpc+proto"}, "", formatProto},
		{map[string]string{"Content-Type": "application/octet-stream"}, "", formatProto},
		{map[string]string{"Content-Type": "Application/JSON; charset=utf-8"}, "\n", formatJSON},
		{map[string]string{"content-type": "application/json"}, "", formatJSON},
		{map[string]string{"CONTENT-TYPE": " application/protobuf ;x=y"}, "", formatProto},
		{map[string]string{"Content-Type": "application/proto-rpc"}, "", formatProto},
		{map[string]string{"Content-Type": "application/json-rpc"}, "", formatJSON},
		{map[string]string{"Content-Type": "application/grpc"}, "", formatProto},
		{map[string]string{"Content-Type": "application/grpc+json"}, "", formatJSON},
		{map[string]string{"Content-Type": "text/plain"}, "{", formatNone},
		{map[string]string{"Content-Type": "application/jsonp"}, "{", formatNone},
		{map[string]string{"Content-Type": ";"}, "{", formatNone},
		{map[string]string{"Micro-Topic": "x"}, "{}", formatJSON},
		{nil, "{}", formatJSON},
		{nil, "\n\x01x", formatProto},
		{nil, "", formatProto},
	} {
		if got := formatOf(c.header, []byte(c.body)); got != c.want {
			t.Errorf("%v with %q: format %d, want %d", c.header, c.body, got, c.want)
		}
	}
}

// Faults: M1.
func TestEventsOfStockCodecsAreTaken(t *testing.T) {
	for _, kind := range kinds {
		want := eventtest.Typical(kind)
		camel, err := protojson.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		zeros, err := protojson.MarshalOptions{UseProtoNames: true, UseEnumNumbers: true, EmitUnpopulated: true}.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			contentType string
			body        []byte
		}{
			"json of go-micro's client": {"application/json", eventtest.Encoded(t, stock.NewCodec, want)},
			"protojson":                 {"application/json", camel},
			"protojson with zeros":      {"application/json; charset=utf-8", zeros},
			"gRPC frame":                {"application/grpc+proto", eventtest.Encoded(t, grpc.NewCodec, want)},
			"proto-rpc of 2016":         {"application/proto-rpc", eventtest.Encoded(t, protorpc.NewCodec, want)},
			"json-rpc of 2016":          {"application/json-rpc", eventtest.Encoded(t, jsonrpc.NewCodec, want)},
		} {
			d := newDecoder()
			if rej := d.decodeMessage(kind, map[string]string{"Content-Type": c.contentType}, c.body); rej.reason != accepted {
				t.Errorf("%T as %s: %v", want, name, rej)
				continue
			}
			if diff := cmp.Diff(want, message(t, &d.event), protocmp.Transform()); diff != "" {
				t.Errorf("%T as %s (-want +got):\n%s", want, name, diff)
			}
		}
	}
}

// Faults: Trap9.
func TestJSONEventsAreReadLeniently(t *testing.T) {
	const service = `"service":{"name":"s","nodes":[{"id":"n"}]}`
	for body, want := range map[string]*healthpb.HealthCheck{
		`{"id":"x",` + service + `,"nobody":[{"knows":null}],"timestamp":"7","interval":1e1}`: {Timestamp: 7, Interval: 10},
		`{"id":"x",` + service + `,"status":"WARNING","results":{"a":"b"}}`:                   {Status: 3, Results: map[string]string{"a": "b"}},
		`{"id":"x",` + service + `,"status":1,"error":null}`:                                  {Status: 1},
		"{\"id\":\"x\"," + service + ",\"error\":\"bad \xff byte\"}":                          {Error: "bad \uFFFD byte"},
	} {
		d := newDecoder()
		if rej := d.decodeJSON(store.KindCheck, []byte(body)); rej.reason != accepted {
			t.Errorf("%s: %v", body, rej)
			continue
		}
		want.Id, want.Service = "x", &healthpb.Service{Name: "s", Nodes: []*healthpb.Node{{Id: "n"}}}
		if diff := cmp.Diff(proto.Message(want), message(t, &d.event), protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

// Faults: T62.
func TestBadJSONIsRejected(t *testing.T) {
	for body, want := range map[string]reason{
		``:                                      malformed,
		`null`:                                  malformed,
		`[]`:                                    malformed,
		`{`:                                     malformed,
		`{}`:                                    noService,
		`{"service":null}`:                      noService,
		`{"service":{"name":"s"}}`:              noNode,
		`{"service":{"name":"s","nodes":null}}`: noNode,
		`{"service":{"name":"s","nodes":[]}}`:   noNode,
		`{"service":{"name":"s","nodes":[{}]}}`: noNode,
		`{"service":{"name":"s","nodes":[null]}}`:                                    badValue,
		`{"service":{"name":"s","nodes":[{"id":"n"}]}}`:                              noID,
		`{"id":"x","timestamp":1e30,"service":{"name":"s","nodes":[{"id":"n"}]}}`:    badValue,
		`{"id":"x\u0000","service":{"name":"s","nodes":[{"id":"n"}]}}`:               badIdentity,
		"{\"id\":\"x\xff\",\"service\":{\"name\":\"s\",\"nodes\":[{\"id\":\"n\"}]}}": badIdentity,
	} {
		d := newDecoder()
		if got := d.decodeJSON(store.KindCheck, []byte(body)); got.reason != want {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
	}
}

// Half of a surrogate pair in a text costs the character, not the event; in what
// makes the key it costs the event, as any other text that cannot be.
// Faults: T62.
func TestTornSurrogatePairsAreRepaired(t *testing.T) {
	event := func(id, text string) []byte {
		return []byte(`{"id":"` + id + `","status":2,"error":"` + text + `","results":{"k":"` + text + `"},` +
			`"service":{"name":"s","nodes":[{"id":"n"}]}}`)
	}
	for text, want := range map[string]string{
		`cut \ud83d`:            "cut \uFFFD",
		`\uDE00 cut`:            "\uFFFD cut",
		`\ud83d\ud83d\ude00`:    "\uFFFD\U0001F600",
		`\ud83d\u0041`:          "\uFFFDA",
		`\ud83d\\ude00`:         "\uFFFD\\ude00",
		`whole \ud83d\ude00`:    "whole \U0001F600",
		`no escape: \\ud83d\n`:  "no escape: \\ud83d\n",
		`no escape: \\\\ud83d.`: `no escape: \\ud83d.`,
	} {
		d := newDecoder()
		if rej := d.decodeJSON(store.KindCheck, event("x", text)); rej.reason != accepted {
			t.Errorf("%s: %v", text, rej)
			continue
		}
		got := message(t, &d.event).(*healthpb.HealthCheck)
		if got.Error != want || got.Results["k"] != want || got.Status != healthpb.HealthCheck_ERROR {
			t.Errorf("%s: taken as %v, want %q", text, got, want)
		}
		if torn := strings.Contains(want, "\uFFFD"); d.repairs.has(repairUTF8) != torn {
			t.Errorf("%s: counted as repaired: %v", text, !torn)
		}
	}
	for _, id := range []string{`x\ud83d`, `\ude00`} {
		d := newDecoder()
		if rej := d.decodeJSON(store.KindCheck, event(id, "fine")); rej.reason != badIdentity {
			t.Errorf("id %s: %v, want a bad identity", id, rej)
		}
	}
	for _, text := range []string{`\ud83`, `\ud83g`, `\u`, `\`} { // no JSON, whatever is done
		d := newDecoder()
		if rej := d.decodeJSON(store.KindCheck, []byte(`{"id":"`+text)); rej.reason != malformed {
			t.Errorf("%s: %v, want malformed", text, rej)
		}
	}
}
