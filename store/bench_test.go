package store

import (
	"fmt"
	"testing"
)

// BenchmarkMemory tells the heap that an entry takes.
func BenchmarkMemory(b *testing.B) {
	for _, shape := range []struct{ nodes, checks int }{{10000, 10}, {10000, 100}, {1000, 100}} {
		b.Run(fmt.Sprintf("%dx%d", shape.nodes, shape.checks), func(b *testing.B) {
			for b.Loop() {
				f := newFleet(shape.nodes, shape.checks)
				before := heap()
				s := New(roomy())
				f.fill(s)
				b.ReportMetric(float64(heap()-before)/float64(f.size()), "B/entry")
				f.fill(s)
			}
		})
	}
}

// BenchmarkPut is an update of a known key with a body that is new, in an order
// that no cache foresees.
func BenchmarkPut(b *testing.B) {
	for _, shape := range []struct{ nodes, checks int }{{1, 10}, {10, 10}, {100, 10}, {1000, 10}, {10000, 10}, {10000, 100}} {
		f := newFleet(shape.nodes, shape.checks)
		b.Run(fmt.Sprint(f.size()), func(b *testing.B) {
			s := New(roomy())
			f.fill(s)
			var ev Event
			i, round := 0, 1
			b.ReportAllocs()
			for b.Loop() {
				if i += 7919; i >= f.size() {
					i, round = i%f.size(), round+1
				}
				f.set(&ev, i, round)
				if s.Put(&ev) != Accepted {
					b.Fatal("not accepted")
				}
			}
		})
	}
}
