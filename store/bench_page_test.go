package store

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// BenchmarkPage is a page of 100 out of a million.
func BenchmarkPage(b *testing.B) {
	f := newFleet(10000, 100)
	s := still(roomy())
	var ev Event
	for i := range f.size() {
		f.set(&ev, i, 0)
		if i%17 == 0 {
			ev.Status = failing
		}
		s.Put(&ev)
	}
	var l lent
	errors := []healthpb.HealthCheck_Status{healthpb.HealthCheck_ERROR}
	for _, bc := range []struct {
		name string
		q    Query
	}{
		{"all", Query{}},
		{"service", Query{Service: "go.micro.srv.svc-042"}},
		{"status", Query{Statuses: errors}},
		{"id", Query{ID: "go.micro.healthcheck.042"}},
		{"service+status", Query{Service: "go.micro.srv.svc-042", Statuses: errors}},
		{"id+status", Query{ID: "go.micro.healthcheck.042", Statuses: errors}},
		{"node", Query{Node: f.nodes[4242]}},
	} {
		q := bc.q
		q.Limit = 100
		first, err := s.Checks(q)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(bc.name+"/first", func(b *testing.B) { perOp(b, func() { l.page(b, s, q) }) })
		if first.Total == 100 {
			continue
		}
		middle := q
		middle.Offset = first.Total / 2
		b.Run(bc.name+"/offset", func(b *testing.B) { perOp(b, func() { l.page(b, s, middle) }) })
		p, err := s.Checks(middle)
		if err != nil {
			b.Fatal(err)
		}
		next := q
		next.Cursor = p.Next
		b.Run(bc.name+"/cursor", func(b *testing.B) { perOp(b, func() { l.page(b, s, next) }) })
	}
	b.Run("all/walk", func(b *testing.B) { // each page another, by no means in a cache
		at := 0
		perOp(b, func() {
			at = (at + 317*100) % (f.size() - 100)
			l.page(b, s, Query{Limit: 100, Offset: at})
		})
	})
}

// lent is the slice that all pages of the benchmarks are written to.
type lent struct{ items []Check }

func (l *lent) page(b *testing.B, s *Store, q Query) {
	p, err := s.AppendChecks(l.items[:0], q)
	if err != nil || len(p.Items) == 0 {
		b.Fatal(p, err)
	}
	l.items = p.Items
}

// BenchmarkAnswer turns 100 entries into the bytes of an answer.
func BenchmarkAnswer(b *testing.B) {
	f := newFleet(100, 10)
	s := still(roomy())
	f.fill(s)
	p := mustSome(b, s, Query{Limit: 100})
	b.Run("spliced", func(b *testing.B) {
		var buf, item []byte
		perOp(b, func() {
			buf = buf[:0]
			for i := range p.Items {
				item = p.Items[i].AppendWire(item[:0])
				buf = protowire.AppendBytes(protowire.AppendTag(buf, 1, protowire.BytesType), item)
			}
		})
		b.ReportMetric(float64(len(buf)), "bytes")
	})
	b.Run("marshalled", func(b *testing.B) {
		perOp(b, func() {
			for i := range p.Items {
				marshal(b, p.Items[i].Proto())
			}
		})
	})
}
