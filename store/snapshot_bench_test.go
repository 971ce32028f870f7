package store

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"time"
)

// BenchmarkSnapshot writes and restores the store of 100,000 and a million checks, ten of
// each node: how long both take, how long a question takes meanwhile, how large a record is,
// and how much more memory there is at the most.
func BenchmarkSnapshot(b *testing.B) {
	for _, nodes := range []int{10000, 100000} {
		f := newFleet(nodes, 10)
		b.Run(fmt.Sprint(f.size()), func(b *testing.B) {
			s := New(roomy())
			f.fill(s)
			for b.Loop() {
				asked := askWhile(func() { b.ReportMetric(writeFor(b, s).Seconds(), "write-s") }, s)
				b.ReportMetric(asked.Seconds()*1000, "query-p99-ms")
				b.ReportMetric(float64(peak(func() { writeFor(b, s) }))/(1<<20), "more-MiB")
				records := snapshot(b, s)
				size := 0
				for _, r := range records {
					size += len(r)
				}
				b.ReportMetric(float64(size)/float64(f.size()), "B/entry")
				begin := time.Now()
				if c := reborn(b, roomy(), records, time.Minute).Counters(); c.Checks != f.size() {
					b.Fatalf("restored are %+v", c)
				}
				b.ReportMetric(time.Since(begin).Seconds(), "restore-s")
			}
		})
	}
}

func writeFor(b *testing.B, s *Store) time.Duration {
	begin := time.Now()
	if err := s.WriteSnapshot(func([]byte) error { return nil }); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}

// askWhile returns the 99th percentile of a page of 100 while do runs, several times if it
// is short.
func askWhile(do func(), s *Store) time.Duration {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for begin := time.Now(); time.Since(begin) < time.Second; {
			do()
		}
	}()
	var took []time.Duration
	var items []Check
	for i := 0; ; i++ {
		select {
		case <-done:
			slices.Sort(took)
			return took[len(took)*99/100]
		default:
		}
		begin := time.Now()
		p, _ := s.AppendChecks(items[:0], Query{Limit: 100, Offset: i * 7919 % 90000})
		took = append(took, time.Since(begin))
		items = p.Items
		time.Sleep(time.Millisecond)
	}
}

// peak returns by how many bytes do lets the memory in use grow.
func peak(do func()) uint64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() uint64 { metrics.Read(sample); return sample[0].Value.Uint64() }
	before, most := read(), uint64(0)
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	for {
		select {
		case <-done:
			return max(most, read(), before) - before
		case <-time.After(time.Millisecond):
			most = max(most, read())
		}
	}
}

// TestANightlyCheckTakesFewBytes in a snapshot.
func TestANightlyCheckTakesFewBytes(t *testing.T) {
	s := still(roomy())
	for n := range 1000 {
		ev := check(fmt.Sprintf("go.micro.srv.backup-%036d", n), "go.micro.healthcheck.backup", ok, 1_790_000_000)
		ev.Interval, ev.TTL = 86400, 2*86400
		mustPut(t, s, Accepted, ev.saying("nothing to do"))
	}
	size := 0
	for _, record := range snapshot(t, s) {
		if record[0] == recordNode {
			size += len(record)
		}
	}
	t.Logf("%d bytes each", size/1000)
	if size/1000 > 250 {
		t.Errorf("a check takes %d bytes, want at most 250", size/1000)
	}
}
