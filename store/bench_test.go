package store

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// The clocks of Linux that count the time that a process or a thread has had,
// which says more than the time of day does on a machine that is shared.
const (
	clockProcess = 2 // CLOCK_PROCESS_CPUTIME_ID, all threads together
	clockThread  = 3 // CLOCK_THREAD_CPUTIME_ID
)

func cpu(clock uintptr) time.Duration {
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic(errno)
	}
	return time.Duration(ts.Nano())
}

// perOp runs op in the loop of a benchmark and reports its time on all cores.
func perOp(b *testing.B, op func()) {
	b.Helper()
	b.ReportAllocs()
	begin := cpu(clockProcess)
	for b.Loop() {
		op()
	}
	b.ReportMetric(float64(cpu(clockProcess)-begin)/float64(b.N), "cpu-ns/op")
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
				empty := heap()
				fleet.fill(s)
				b.ReportMetric(float64(heap()-empty)/float64(fleet.size()), "B/entry")
				f.jump.Add(int64(2 * time.Hour))
				s.advance()
				f.jump.Add(int64(25 * time.Hour))
				if c := s.Counters(); c.Nodes != 0 {
					b.Fatalf("left are %+v", c)
				}
				b.ReportMetric(float64(heap())/float64(empty), "x-empty-after")
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
		for name, stride := range map[string]int{"nodes": 1, "shuffled": 7919} {
			b.Run(fmt.Sprintf("%s/%d", name, f.size()), func(b *testing.B) {
				var ev Event
				i, round := 0, 1
				perOp(b, func() {
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

func mustPage(b *testing.B, s *Store, q Query) Page[Check] {
	p, err := s.Checks(q)
	if err != nil || len(p.Items) == 0 {
		b.Fatal(p, err)
	}
	return p
}

// BenchmarkAnswer turns 100 entries into the bytes of an answer.
func BenchmarkAnswer(b *testing.B) {
	f := newFleet(100, 10)
	s := still(roomy())
	f.fill(s)
	p := mustPage(b, s, Query{Limit: 100})
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

// old2016 does what the aggregator of 2016 did with an event: it keeps a list by
// check id, that it searches for the node, of decoded messages.
type old2016 struct {
	mu     sync.RWMutex
	checks map[string][]*healthpb.HealthCheck
}

func (o *old2016) put(wire []byte) {
	hc := &healthpb.HealthCheck{}
	if err := proto.Unmarshal(wire, hc); err != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, held := range o.checks[hc.Id] {
		if held.Service.Nodes[0].Id == hc.Service.Nodes[0].Id {
			o.checks[hc.Id][i] = hc
			return
		}
	}
	o.checks[hc.Id] = append(o.checks[hc.Id], hc)
}

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
	s, old := New(roomy()), &old2016{checks: map[string][]*healthpb.HealthCheck{}}
	var ev Event
	put := func() {
		scan(&ev, wire())
		if s.Put(&ev) != Accepted {
			b.Fatal("not accepted")
		}
	}
	for range wires {
		put()
		old.put(wire())
	}
	b.Run("now", func(b *testing.B) { perOp(b, put) })
	b.Run("scan alone", func(b *testing.B) { perOp(b, func() { scan(&ev, wire()) }) })
	raw := map[string][]byte{}
	b.Run("scan and raw upsert", func(b *testing.B) {
		var k []byte
		perOp(b, func() {
			w := wire()
			scan(&ev, w)
			k = append(append(append(append(k[:0], ev.Service...), ev.Version...), ev.Node...), ev.ID...)
			raw[string(k)] = append([]byte(nil), w...)
		})
	})
	b.Run("2016", func(b *testing.B) { perOp(b, func() { old.put(wire()) }) })
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
		begin := cpu(clockThread)
		more = op()
		took = append(took, cpu(clockThread)-begin)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1000, name+"-p50-us")
	b.ReportMetric(float64(took[len(took)*99/100])/1000, name+"-p99-us")
}
