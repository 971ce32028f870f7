package store

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/microhq/monitor-srv/internal/testkit"
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
