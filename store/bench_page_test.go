package store

import (
	"cmp"
	"slices"
	"strings"
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

// BenchmarkPageSlice takes a page of 100 out of a sorted slice of a million: found
// by its key and copied, and found by walking half of the slice for a status.
func BenchmarkPageSlice(b *testing.B) {
	f := newFleet(10000, 100)
	checks := make([]Check, 0, f.size())
	for i := range f.size() {
		node := i / len(f.ids)
		c := Check{Service: f.services[node], Node: f.nodes[node], ID: f.ids[i%len(f.ids)], Status: healthpb.HealthCheck_OK}
		if i%17 == 0 {
			c.Status = healthpb.HealthCheck_ERROR
		}
		checks = append(checks, c)
	}
	order := func(x, y Check) int {
		return cmp.Or(strings.Compare(x.Service, y.Service), strings.Compare(x.Node, y.Node), strings.Compare(x.ID, y.ID))
	}
	slices.SortFunc(checks, order)
	var page []Check
	b.Run("copy", func(b *testing.B) {
		at := 0
		perOp(b, func() {
			at = (at + 317*100) % (len(checks) - 100)
			found, _ := slices.BinarySearchFunc(checks, checks[at], order)
			page = append(page[:0], checks[found:found+100]...)
		})
	})
	b.Run("walk", func(b *testing.B) {
		perOp(b, func() {
			page = page[:0]
			skip := len(checks) / 17 / 2
			for i := 0; len(page) < 100; i++ {
				if checks[i].Status != healthpb.HealthCheck_ERROR {
					continue
				}
				if skip--; skip < 0 {
					page = append(page, checks[i])
				}
			}
		})
	})
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
