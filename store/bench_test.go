package store

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/microhq/monitor-srv/internal/testkit"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// threadCPU returns the time that the thread has had, which says more than the time of
// day does on a machine that is shared.
func threadCPU() time.Duration {
	const clock = 3 // CLOCK_THREAD_CPUTIME_ID
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic(errno)
	}
	return time.Duration(ts.Nano())
}

// BenchmarkMemory tells the heap that an entry takes, and what is left of it once
// all is forgotten.
func BenchmarkMemory(b *testing.B) {
	for _, shape := range []struct{ nodes, checks int }{{1000, 100}, {10000, 10}, {10000, 100}, {100000, 10}} {
		b.Run(fmt.Sprintf("%dx%d", shape.nodes, shape.checks), func(b *testing.B) {
			for b.Loop() {
				var f freezer
				s := f.store()
				s.cfg = roomy().withDefaults()
				fleet := newFleet(shape.nodes, shape.checks)
				empty := testkit.HeapInUse()
				fleet.fill(s)
				b.ReportMetric(float64(testkit.HeapInUse()-empty)/float64(fleet.size()), "B/entry")
				f.jump.Add(int64(2 * time.Hour))
				s.advance()
				f.jump.Add(int64(25 * time.Hour))
				if c := s.Counters(); c.Nodes != 0 {
					b.Fatalf("left are %+v", c)
				}
				b.ReportMetric(float64(testkit.HeapInUse())/float64(empty), "x-empty-after")
				fleet.fill(s) // keeps both alive
			}
		})
	}
}

var sizes = []struct{ nodes, checks int }{{1, 10}, {10, 10}, {100, 10}, {1000, 10}, {10000, 10}, {10000, 100}}

// BenchmarkPut is an update of a known key with a new body: once as publishers
// send, one node after the other, and once in an order that no cache foresees.
func BenchmarkPut(b *testing.B) {
	for _, shape := range sizes {
		f := newFleet(shape.nodes, shape.checks)
		s := New(roomy())
		f.fill(s)
		f.fill(s) // a node that reports again is proven, once
		for name, stride := range map[string]int{"nodes": 1, "shuffled": 7919} {
			b.Run(fmt.Sprintf("%s/%d", name, f.size()), func(b *testing.B) {
				var ev Event
				i, round := 0, 1
				testkit.MeasureCPU(b, func() {
					if i += stride; i >= f.size() {
						i, round = i%f.size(), round+1
					}
					f.set(&ev, i, round)
					if s.Put(&ev) != Accepted {
						b.Fatal("not accepted")
					}
				})
			})
		}
	}
}

// BenchmarkLock tells how long the lock is held, at a million entries: while they
// all fall silent, go missing and are forgotten, by the largest page, and by a
// Put. It counts the time that the thread has had, because on a shared machine a
// thread is often stopped for longer than all that.
func BenchmarkLock(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		var f freezer
		s := f.store()
		s.cfg = roomy().withDefaults()
		fleet := newFleet(10000, 100)
		fleet.fill(s)
		var ev Event
		var l lent
		i := 0
		measure(b, "put", func() bool {
			i += 7919
			fleet.set(&ev, i%fleet.size(), i)
			s.Put(&ev)
			return i < 1e8
		})
		at := 0
		measure(b, "page", func() bool {
			at += MaxLimit
			l.page(b, s, Query{Limit: MaxLimit, Offset: at * 7 % 990000})
			return at < fleet.size()
		})
		for _, phase := range []struct {
			name    string
			silence time.Duration
		}{{"silent", 16 * time.Second}, {"missing", 2 * time.Hour}, {"forgotten", 25 * time.Hour}} {
			f.jump.Add(int64(phase.silence))
			measure(b, phase.name, func() bool {
				s.step()
				return s.clock.overdue()
			})
		}
	}
}

// measure reports the median and the 99th percentile of what op takes, until it
// returns false.
func measure(b *testing.B, name string, op func() bool) {
	b.Helper()
	var took []time.Duration
	for more := true; more; {
		begin := threadCPU()
		more = op()
		took = append(took, threadCPU()-begin)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1000, name+"-p50-us")
	b.ReportMetric(float64(took[len(took)*99/100])/1000, name+"-p99-us")
}

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
		b.Run(bc.name+"/first", func(b *testing.B) { testkit.MeasureCPU(b, func() { l.page(b, s, q) }) })
		if first.Total == 100 {
			continue
		}
		middle := q
		middle.Offset = first.Total / 2
		b.Run(bc.name+"/offset", func(b *testing.B) { testkit.MeasureCPU(b, func() { l.page(b, s, middle) }) })
		p, err := s.Checks(middle)
		if err != nil {
			b.Fatal(err)
		}
		next := q
		next.Cursor = p.Next
		b.Run(bc.name+"/cursor", func(b *testing.B) { testkit.MeasureCPU(b, func() { l.page(b, s, next) }) })
	}
	b.Run("all/walk", func(b *testing.B) { // each page another, by no means in a cache
		at := 0
		testkit.MeasureCPU(b, func() {
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
		testkit.MeasureCPU(b, func() {
			at = (at + 317*100) % (len(checks) - 100)
			found, _ := slices.BinarySearchFunc(checks, checks[at], order)
			page = append(page[:0], checks[found:found+100]...)
		})
	})
	b.Run("walk", func(b *testing.B) {
		testkit.MeasureCPU(b, func() {
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
		testkit.MeasureCPU(b, func() {
			buf = buf[:0]
			for i := range p.Items {
				item = p.Items[i].AppendWire(item[:0])
				buf = protowire.AppendBytes(protowire.AppendTag(buf, 1, protowire.BytesType), item)
			}
		})
		b.ReportMetric(float64(len(buf)), "bytes")
	})
	b.Run("marshalled", func(b *testing.B) {
		testkit.MeasureCPU(b, func() {
			for i := range p.Items {
				marshal(b, p.Items[i].Proto())
			}
		})
	})
}
