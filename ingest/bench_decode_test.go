package ingest

import (
	"testing"

	stock "go-micro.dev/v4/codec/json"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
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

func wireOf(tb testing.TB, m proto.Message) []byte {
	tb.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// BenchmarkDecode decodes and validates a typical event.
func BenchmarkDecode(b *testing.B) {
	wire := wireOf(b, typicalCheck())
	b.Logf("event of %d bytes", len(wire))
	b.Run("ours", func(b *testing.B) {
		d := newDecoder()
		cpuOf(b, func() {
			if rej := d.decode(store.KindCheck, wire); rej.reason != accepted {
				b.Fatal(rej)
			}
		})
	})
	b.Run("protobuf", func(b *testing.B) {
		cpuOf(b, func() {
			if err := proto.Unmarshal(wire, new(healthpb.HealthCheck)); err != nil {
				b.Fatal(err)
			}
		})
	})
	text := encoded(b, stock.NewCodec, typicalCheck())
	b.Run("json", func(b *testing.B) {
		d := newDecoder()
		cpuOf(b, func() {
			if rej := d.decodeJSON(store.KindCheck, text); rej.reason != accepted {
				b.Fatal(rej)
			}
		})
	})
	b.Run("protojson", func(b *testing.B) {
		cpuOf(b, func() {
			if err := protojson.Unmarshal(text, new(healthpb.HealthCheck)); err != nil {
				b.Fatal(err)
			}
		})
	})
}
