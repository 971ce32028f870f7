package ingest

import (
	"bytes"
	"fmt"
	"testing"

	stock "go-micro.dev/v4/codec/json"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/wire"
)

// BenchmarkDecode decodes and validates a typical event.
func BenchmarkDecode(b *testing.B) {
	wire := eventtest.Wire(b, eventtest.Check())
	b.Logf("event of %d bytes", len(wire))
	text := eventtest.Encoded(b, stock.NewCodec, eventtest.Check())
	script := bytes.Replace(text, []byte(`"interval":10`), []byte(`"interval":"10s"`), 1)
	if bytes.Equal(script, text) {
		b.Fatalf("no interval in %s", text)
	}
	d := newDecoder()
	for _, c := range []struct {
		name   string
		decode func() bool
	}{
		{"ours", func() bool { return d.decode(store.KindCheck, wire).reason == accepted }},
		{"protobuf", func() bool { return proto.Unmarshal(wire, new(healthpb.HealthCheck)) == nil }},
		{"json", func() bool { return d.decodeJSON(store.KindCheck, text).reason == accepted }},
		{"script", func() bool { return d.decodeJSON(store.KindCheck, script).reason == accepted }},
		{"protojson", func() bool { return protojson.Unmarshal(text, new(healthpb.HealthCheck)) == nil }},
	} {
		b.Run(c.name, func(b *testing.B) {
			testkit.MeasureCPU(b, func() {
				if !c.decode() {
					b.Fatal("not accepted")
				}
			})
		})
	}
}

// roomy is a store without caps in the way.
func roomy() *store.Store {
	return store.New(store.Config{MaxServices: 1e7, MaxNodes: 1e7, MaxChecksPerNode: 1e7, MaxEntries: 1e8, Share: 1})
}

// eventsOf returns a function that gives the wire bytes of a typical event, each
// time as of another of so many nodes, in an order that no cache foresees.
func eventsOf(b *testing.B, nodes int) func() []byte {
	m := eventtest.Check()
	m.Interval = 3600 // nothing falls silent while it runs
	m.Service.Nodes[0].Id = "go.micro.srv.pong-0000000"
	wire := eventtest.Wire(b, m)
	at := bytes.Index(wire, []byte("-0000000")) + 1
	i := 0
	return func() []byte {
		i = (i + 7919) % nodes
		for k, n := at+6, i; k >= at; k, n = k-1, n/10 {
			wire[k] = '0' + byte(n%10)
		}
		return wire
	}
}

// rawMap is the floor: the key scanned without a look at anything else, and the
// bytes of the event put in a map.
type rawMap struct {
	held map[string][]byte
	key  []byte
}

func (r *rawMap) take(event []byte) {
	r.key = r.key[:0]
	var f, g wire.Field
	for rest := event; len(rest) > 0; rest = rest[f.Read(rest):] {
		f.Read(rest)
		switch f.Tag {
		case wire.HealthCheckID<<3 | wire.Bytes:
			r.key = append(r.key, f.Bytes...)
		case wire.HealthCheckService<<3 | wire.Bytes:
			for in := f.Bytes; len(in) > 0; in = in[g.Read(in):] {
				g.Read(in)
				r.key = append(append(r.key, 0), g.Bytes...)
			}
		}
	}
	if held, ok := r.held[string(r.key)]; ok && len(held) == len(event) {
		copy(held, event)
		return
	}
	r.held[string(r.key)] = bytes.Clone(event)
}

// BenchmarkEventToState takes events of one check id on so many nodes: their
// bytes validated, judged and stored; then what that took in 2016, and what the
// least is that one could do.
func BenchmarkEventToState(b *testing.B) {
	for _, nodes := range []int{10, 1000, 10000, 100000, 1000000} {
		b.Run(fmt.Sprintf("now/%d", nodes), func(b *testing.B) {
			next, st, d := eventsOf(b, nodes), roomy(), newDecoder()
			take := func() {
				if rej := d.decode(store.KindCheck, next()); rej.reason != accepted {
					b.Fatal(rej)
				}
				if st.Put(&d.event) != store.Accepted {
					b.Fatal("not accepted")
				}
			}
			for range 2 * nodes { // a node that reports again is proven, once
				take()
			}
			testkit.MeasureCPU(b, take)
		})
		b.Run(fmt.Sprintf("raw/%d", nodes), func(b *testing.B) {
			next, raw := eventsOf(b, nodes), &rawMap{held: make(map[string][]byte)}
			for range nodes {
				raw.take(next())
			}
			testkit.MeasureCPU(b, func() { raw.take(next()) })
		})
		if nodes > 10000 {
			continue
		}
		b.Run(fmt.Sprintf("2016/%d", nodes), func(b *testing.B) {
			next, old := eventsOf(b, nodes), &eventtest.Aggregator2016{}
			for range nodes {
				if err := old.Put(next()); err != nil {
					b.Fatal(err)
				}
			}
			testkit.MeasureCPU(b, func() { _ = old.Put(next()) })
		})
	}
}

// BenchmarkReceive is the whole way of an event from the broker's handler through
// the queue into the store.
func BenchmarkReceive(b *testing.B) {
	next := eventsOf(b, 10000)
	events := NewEvents(Config{Store: roomy()})
	batch := make([]*item, 0, batchCount)
	n := 0
	testkit.MeasureCPU(b, func() {
		events.receive(store.KindCheck, protobuf, next(), false)
		if n++; n%batchCount == 0 {
			batch = events.queue.take(batch)
			events.put(batch)
		}
	})
}
