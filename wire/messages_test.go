package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"go-micro.dev/v4/codec"
	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// typicalCheck is an event of 234 bytes with 5 results, the size that the
// figures of 2016 publishers were taken with.
func typicalCheck() *healthpb.HealthCheck {
	return &healthpb.HealthCheck{
		Id:          "go.micro.healthcheck.pong",
		Description: "a check of the pong dependency",
		Timestamp:   1763760000,
		Interval:    10,
		Ttl:         3600,
		Service: &healthpb.Service{Name: "go.micro.srv.pong", Version: "1.0.0", Nodes: []*healthpb.Node{
			{Id: "go.micro.srv.pong-6fb2a1c4"},
		}},
		Status: healthpb.HealthCheck_ERROR,
		Results: map[string]string{
			"msg": "no answer", "foo": "bar", "latency": "12.5ms", "tries": "3", "peer": "10.0.0.17:9090",
		},
		Error: "connection refused",
	}
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

func typical(k kind) proto.Message {
	switch k {
	case kindOfCheck:
		return typicalCheck()
	case kindOfStatus:
		return typicalStatus()
	default:
		return typicalStats()
	}
}

// kind of an event.
type kind uint8

const (
	kindOfCheck kind = iota
	kindOfStatus
	kindOfStats
)

var kinds = []kind{kindOfCheck, kindOfStatus, kindOfStats}

func wireOf(tb testing.TB, m proto.Message) []byte {
	tb.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

var oldNames = map[kind]string{
	kindOfCheck: "healthcheck", kindOfStatus: "status", kindOfStats: "stats",
}

// oldEvent returns the bytes of an event as the publishers of 2016 to 2018 sent
// it, with the content type.
func oldEvent(t testing.TB, k kind, json bool) (body []byte, contentType string) {
	t.Helper()
	name := "../ingest/testdata/publishers/" + oldNames[k]
	if json {
		b, err := os.ReadFile(name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		return b, "application/json"
	}
	text, err := os.ReadFile(name + ".hex")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body = append(body, b...)
	}
	return body, "application/protobuf"
}

type buffer struct{ bytes.Buffer }

func (*buffer) Close() error { return nil }

// encoded encodes an event with a codec of go-micro's client.
func encoded(t testing.TB, newCodec codec.NewCodec, m proto.Message) []byte {
	t.Helper()
	var b buffer
	if err := newCodec(&b).Write(&codec.Message{Type: codec.Event, Header: map[string]string{}}, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func newMessage(k kind) proto.Message {
	switch k {
	case kindOfCheck:
		return new(healthpb.HealthCheck)
	case kindOfStatus:
		return new(healthpb.Status)
	default:
		return new(healthpb.Stats)
	}
}

// transcoders returns one for the message of each kind.
func transcoders() map[kind]*Transcoder {
	all := make(map[kind]*Transcoder)
	for _, k := range kinds {
		all[k] = NewTranscoder(newMessage(k).ProtoReflect().Descriptor())
	}
	return all
}
