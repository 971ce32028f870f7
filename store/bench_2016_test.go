package store

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/eventtest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// scan finds the fields of a check that the store looks into, without decoding
// the rest. The real one, which also validates, is that of the handler.
func scan(ev *Event, wire []byte) {
	*ev = Event{Body: ev.Body[:0]}
	for len(wire) > 0 {
		num, typ, n := protowire.ConsumeTag(wire)
		size := protowire.ConsumeFieldValue(num, typ, wire[n:])
		value := wire[n : n+size]
		switch {
		case num > 7:
			ev.Body = append(ev.Body, wire[:n+size]...)
		case typ == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(value)
			*[]*int64{3: &ev.Timestamp, 4: &ev.Interval, 5: &ev.TTL, 7: new(int64)}[num] = int64(v)
			if num == 7 {
				ev.Status = int32(v)
			}
		default:
			v, _ := protowire.ConsumeBytes(value)
			switch num {
			case 1:
				ev.ID = v
			case 2:
				ev.Description = v
			case 6:
				scanService(ev, v)
			}
		}
		wire = wire[n+size:]
	}
}

func scanService(ev *Event, wire []byte) {
	for len(wire) > 0 {
		num, _, n := protowire.ConsumeTag(wire)
		v, size := protowire.ConsumeBytes(wire[n:])
		switch num {
		case 1:
			ev.Service = v
		case 2:
			ev.Version = v
		case 3:
			_, _, n := protowire.ConsumeTag(v)
			ev.Node, _ = protowire.ConsumeBytes(v[n:])
		}
		wire = wire[n+size:]
	}
}

// BenchmarkEventToState is one check id on 10,000 nodes, from the bytes of the bus
// to the state, then and now.
func BenchmarkEventToState(b *testing.B) {
	f := newFleet(10000, 1)
	var wires [][]byte
	for i, node := range f.nodes {
		wires = append(wires, marshal(b, typical(node, f.ids[0], i)))
	}
	next := 0
	wire := func() []byte {
		next = (next + 7919) % len(wires)
		return wires[next]
	}
	s, old := New(roomy()), &eventtest.Aggregator2016{}
	var ev Event
	put := func() {
		scan(&ev, wire())
		if s.Put(&ev) != Accepted {
			b.Fatal("not accepted")
		}
	}
	for range wires {
		put()
		_ = old.Put(wire())
	}
	b.Run("now", func(b *testing.B) { testkit.MeasureCPU(b, put) })
	b.Run("scan alone", func(b *testing.B) { testkit.MeasureCPU(b, func() { scan(&ev, wire()) }) })
	raw := map[string][]byte{}
	b.Run("scan and raw upsert", func(b *testing.B) {
		var k []byte
		testkit.MeasureCPU(b, func() {
			w := wire()
			scan(&ev, w)
			k = append(append(append(append(k[:0], ev.Service...), ev.Version...), ev.Node...), ev.ID...)
			raw[string(k)] = append([]byte(nil), w...)
		})
	})
	b.Run("2016", func(b *testing.B) { testkit.MeasureCPU(b, func() { _ = old.Put(wire()) }) })
}

// BenchmarkMemoryMessages tells the heap that an entry takes as a decoded message
// in a map, as in 2016.
func BenchmarkMemoryMessages(b *testing.B) {
	f := newFleet(1000, 100)
	for b.Loop() {
		empty := testkit.HeapInUse()
		held := map[string]*healthpb.HealthCheck{}
		for i := range f.size() {
			node, id := f.nodes[i/len(f.ids)], f.ids[i%len(f.ids)]
			hc := &healthpb.HealthCheck{}
			if err := proto.Unmarshal(marshal(b, typical(node, id, i)), hc); err != nil {
				b.Fatal(err)
			}
			held[node+"/"+id] = hc
		}
		b.ReportMetric(float64(testkit.HeapInUse()-empty)/float64(len(held)), "B/entry")
		clear(held) // keeps it alive
	}
}
