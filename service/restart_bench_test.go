package service

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/wire"
)

// BenchmarkRestart writes the snapshot of an instance with 100,000 and with a million
// checks, ten of each node, to the disk, and starts another one from it: how long both
// take, what a question takes meanwhile, and how much more memory is in use.
func BenchmarkRestart(b *testing.B) {
	for _, nodes := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(nodes*10), func(b *testing.B) {
			for b.Loop() {
				path := filepath.Join(b.TempDir(), "state")
				roomy := store.Config{MaxEntries: 1e8, MaxNodes: 1e8, Share: 1}
				s, d := restored(b, path, roomy)
				fill(s, nodes)
				var wrote time.Duration
				grown, p99 := watch(s, func() {
					began := time.Now()
					if err := d.snapshot.Write(context.Background(), d.records, d.sections); err != nil {
						b.Error(err)
					}
					wrote = time.Since(began)
				})
				d.close()
				b.ReportMetric(float64(snapshotSize(b, path))/float64(nodes*10), "B/entry")
				began, cpu := time.Now(), testkit.CPUTime(b)
				again, d := restored(b, path, roomy)
				b.ReportMetric(time.Since(began).Seconds(), "restore-s")
				b.ReportMetric((testkit.CPUTime(b) - cpu).Seconds(), "restore-CPU-s")
				if n := again.Counters().Checks; n != nodes*10 {
					b.Fatalf("%d checks are restored", n)
				}
				d.close()
				b.ReportMetric(wrote.Seconds(), "write-s")
				b.ReportMetric(p99.Seconds()*1000, "query-p99-ms")
				b.ReportMetric(float64(grown)/(1<<20), "more-MiB")
			}
		})
	}
}

func snapshotSize(b *testing.B, path string) (size int64) {
	files, err := filepath.Glob(filepath.Join(path, "snapshot-*"))
	if err != nil || len(files) != 1 {
		b.Fatalf("the snapshots are %q, %v", files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// restored opens a state directory and a store from it, as New does.
func restored(b *testing.B, path string, cfg store.Config) (*store.Store, stateDir) {
	b.Helper()
	d, err := openState(path, testkit.QuietLog())
	if err != nil {
		b.Fatal(err)
	}
	s := store.New(cfg)
	d.store = s
	resumeStore(d, d.restore([]state.Section{storeSection(s)}), testkit.QuietLog())
	return s, d
}

// fill puts ten checks with five results of each node.
func fill(s *store.Store, nodes int) {
	var body []byte
	for _, name := range []string{"latency", "conns", "queue", "region", "foo"} {
		body = wire.AppendMapEntry(body, wire.HealthCheckResults, name, "value-12")
	}
	for i := range nodes * 10 {
		s.Put(&store.Event{
			Kind: store.KindCheck, Service: fmt.Appendf(nil, "go.micro.srv.svc-%03d", i/10%100), Version: []byte("2016.11.1"),
			Node: fmt.Appendf(nil, "go.micro.srv.svc-%03d-%036d", i/10%100, i/10), ID: fmt.Appendf(nil, "go.micro.healthcheck.%03d", i%10),
			Description: []byte("Pings the database"), Status: 1, Interval: 3600, TTL: 86400, Body: body,
		})
	}
}

// watch returns how many bytes the heap grows while do runs, and the 99th percentile of
// questions for a page of 100.
func watch(s *store.Store, do func()) (grown uint64, p99 time.Duration) {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	heap := func() uint64 { metrics.Read(sample); return sample[0].Value.Uint64() }
	before := heap()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	var took []time.Duration
	var items []store.Check
	for {
		began := time.Now()
		page, _ := s.AppendChecks(items[:0], store.Query{Limit: 100, Offset: len(took) * 7919 % 90_000})
		took = append(took, time.Since(began))
		items = page.Items
		grown = max(grown, max(heap(), before)-before)
		select {
		case <-done:
			slices.Sort(took)
			return grown, took[len(took)*99/100]
		case <-time.After(time.Millisecond):
		}
	}
}
