// Package eventtest holds the events that tests send: typical ones, and those of the
// publishers of 2016 to 2018. A kind is 0 for a health check, 1 for a status and 2
// for stats, as in package store.
package eventtest

import (
	"bytes"
	"fmt"
	"testing"

	"go-micro.dev/v4/codec"
	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// Check is an event of 234 bytes with 5 results, the size that the
// figures of 2016 publishers were taken with.
func Check() *healthpb.HealthCheck {
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

// Status returns a status of the service of Check.
func Status() *healthpb.Status {
	return &healthpb.Status{
		Service:   Check().Service,
		Status:    healthpb.Status_RUNNING,
		Info:      "serving",
		Timestamp: 1763760000,
		Interval:  10,
		Ttl:       3600,
	}
}

// Stats returns stats of the service of Check.
func Stats() *healthpb.Stats {
	return &healthpb.Stats{
		Service:   Check().Service,
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

// Typical returns the typical event of a kind.
func Typical[K ~uint8](kind K) proto.Message {
	return []proto.Message{Check(), Status(), Stats()}[kind]
}

// OfNode makes the event one of the node with the number.
func OfNode[M interface {
	proto.Message
	GetService() *healthpb.Service
}](i int, m M) M {
	m = proto.Clone(m).(M)
	m.GetService().Nodes[0].Id = fmt.Sprintf("node-%04d", i)
	return m
}

// KindOf returns the kind of an event.
func KindOf[K ~uint8](m proto.Message) K {
	switch m.(type) {
	case *healthpb.HealthCheck:
		return 0
	case *healthpb.Status:
		return 1
	}
	return 2
}

// Wire returns the bytes of a message. Equal messages have equal bytes.
func Wire(tb testing.TB, m proto.Message) []byte {
	tb.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Buffer is what codecs of go-micro read from and write to.
type Buffer struct{ bytes.Buffer }

// Close implements io.Closer.
func (*Buffer) Close() error { return nil }

// Encoded encodes an event with a codec of go-micro's client.
func Encoded(tb testing.TB, newCodec codec.NewCodec, m proto.Message) []byte {
	tb.Helper()
	var b Buffer
	if err := newCodec(&b).Write(&codec.Message{Type: codec.Event, Header: map[string]string{}}, m); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}
