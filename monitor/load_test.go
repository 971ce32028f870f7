package monitor

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

// sinkVariable is the environment variable that makes TestSink a server.
const sinkVariable = "MONITOR_TEST_SINK"

// TestSink accepts connections until its standard input ends. It is the server of
// other tests, in a separate process, so that its cost is not measured.
func TestSink(t *testing.T) {
	if os.Getenv(sinkVariable) == "" {
		return // not a test
	}
	l := testkit.Listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	fmt.Printf("sink %s\n", l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// startSink starts a server that runs until the end of the test, and returns its
// address.
func startSink(tb testing.TB) string {
	tb.Helper()
	_, out := testkit.StartChild(tb, testkit.Self("TestSink", sinkVariable))
	line, err := out.ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "sink "))
}

// timedProbe records the start times of a probe.
type timedProbe struct {
	inner probe.Probe
	l     *load
	began []time.Time
}

func (p *timedProbe) Probe(ctx context.Context) (probe.Result, error) {
	p.began = append(p.began, time.Now())
	now := p.l.running.Add(1)
	defer p.l.running.Add(-1)
	for most := p.l.most.Load(); now > most && !p.l.most.CompareAndSwap(most, now); most = p.l.most.Load() {
	}
	return p.inner.Probe(ctx)
}

func (p *timedProbe) Close() error { return p.inner.Close() }

// load is a Group of many similar monitors and its measurements.
type load struct {
	g             *Group
	probes        []*timedProbe
	running, most atomic.Int64
	goroutines    int
	cpu           time.Duration
	rss           int64 // bytes
}

// runLoad runs n monitors of a kind for some time.
func runLoad(tb testing.TB, n int, interval, lasts time.Duration, kind, keys string, make probe.Kind) *load {
	tb.Helper()
	l := &load{}
	wrapped := func(decode func(any) error, env probe.Env) (probe.Probe, error) {
		p, err := make(decode, env)
		if err != nil {
			return nil, err
		}
		l.probes = append(l.probes, &timedProbe{inner: p, l: l})
		return l.probes[len(l.probes)-1], nil
	}
	l.g = NewGroup(Config{
		Probes: map[string]probe.Kind{kind: wrapped}, Delivery: newTestDelivery(nil), Recorder: noRecorder{}, Log: testkit.QuietLog(),
	})
	var doc strings.Builder
	for i := range n {
		fmt.Fprintf(&doc, "[[monitor]]\nname = \"monitor %d\"\ninterval = %q\n[monitor.probe]\ntype = %q\n%s\n", i, interval, kind, keys)
	}
	set, problems := Parse("load.toml", doc.String())
	doc.Reset()
	if problems = append(problems, l.g.Apply(context.Background(), set, problems)...); len(problems) > 0 {
		tb.Fatal(problems[0])
	}
	runtime.GC()
	before := cpuTime(tb)
	ctx, cancel := context.WithTimeout(tb.Context(), lasts)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.g.Run(ctx) })
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		l.goroutines = max(l.goroutines, runtime.NumGoroutine())
	}
	l.rss = residentMemory(tb)
	wg.Wait()
	l.cpu = cpuTime(tb) - before
	return l
}

// cpuTime returns the CPU time of this process.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentMemory returns the resident memory of this process, in bytes.
func residentMemory(tb testing.TB) int64 {
	tb.Helper()
	text := testkit.ReadFile(tb, "/proc/self/statm")
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		tb.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// lateness returns the delays of all probes, sorted.
func (l *load) lateness() []time.Duration {
	var all []time.Duration
	for _, r := range l.g.sorted() {
		for _, at := range l.probes[r.id-1].began {
			all = append(all, at.Sub(r.firstTick)%r.def.Interval)
		}
	}
	slices.Sort(all)
	return all
}

// bursts returns the maximum and the mean number of probes that started within 100
// ms, after the first probe of every monitor.
func (l *load) bursts(first, end time.Time) (most int, mean float64) {
	counts := make(map[int64]int)
	n := 0
	for _, p := range l.probes {
		for _, at := range p.began {
			if at.After(first) && at.Before(end) {
				counts[int64(at.Sub(first)/(100*time.Millisecond))]++
				n++
			}
		}
	}
	for _, c := range counts {
		most = max(most, c)
	}
	return most, float64(n) / (float64(end.Sub(first)) / float64(100*time.Millisecond))
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// TestTwoThousandMonitorsRunOnTime runs 2,000 monitors of one interval. It has three
// attempts, because the machine may be busy.
// Faults: T50.
func TestTwoThousandMonitorsRunOnTime(t *testing.T) {
	const n, interval = 2000, 4 * time.Second
	sink := startSink(t)
	var wrong string
	for range 3 {
		began := time.Now()
		l := runLoad(t, n, interval, 9*time.Second, "tcp", fmt.Sprintf("address = %q", sink), probe.Builtin()["tcp"])
		late := l.lateness()
		most, mean := l.bursts(began.Add(interval), began.Add(9*time.Second))
		c := l.g.Counters()
		wrong = ""
		if p99 := quantile(late, 0.99); p99 > 500*time.Millisecond || late[len(late)-1] > 2*time.Second {
			wrong += fmt.Sprintf("lateness p99 %v, max %v; ", p99, late[len(late)-1])
		}
		if float64(most) > 2.5*mean {
			wrong += fmt.Sprintf("%d began within 100 ms, mean %.0f; ", most, mean)
		}
		if len(late) < 2*n || c.Missed != 0 || c.Failures != 0 {
			wrong += fmt.Sprintf("%d began; %+v; ", len(late), c)
		}
		if l.goroutines > n+500 {
			wrong += fmt.Sprintf("%d goroutines", l.goroutines)
		}
		if wrong == "" {
			return
		}
	}
	t.Error(wrong)
}

// TestExecProbesWaitForASlot has more commands due than may run. None runs twice,
// and each skipped one is counted.
// Faults: T51.
func TestExecProbesWaitForASlot(t *testing.T) {
	n := 10_000
	if raceEnabled {
		n = 4000
	}
	synctest.Test(t, func(t *testing.T) {
		// 16 slots of 40 ms: 400 a second, and n are due every second.
		kind := func(decode func(any) error, _ probe.Env) (probe.Probe, error) {
			return sleeper(40 * time.Millisecond), decode(&struct{}{})
		}
		lasts := time.Duration(testkit.Fewer(30, 20)) * time.Second
		l := runLoad(t, n, time.Second, lasts, "exec", "", kind)
		if most := l.most.Load(); most != defaultExecCap {
			t.Errorf("%d ran at a time, want %d", most, defaultExecCap)
		}
		c := l.g.Counters()
		if want := int64(400 * lasts.Seconds()); c.Probes < want*95/100 || c.Probes > want {
			t.Errorf("%d probes ran, want %d", c.Probes, want)
		}
		// n were due every second. Each ran, was missed, or waits at the end.
		if due := int64(n) * int64(lasts/time.Second); c.Probes+c.Missed > due || c.Probes+c.Missed < due-2*int64(n) {
			t.Errorf("%d ran and %d were missed of %d", c.Probes, c.Missed, due)
		}
		if c.LatenessMax < 5*time.Second {
			t.Errorf("the overload is not seen: %+v", c)
		}
	})
}

type sleeper time.Duration

func (s sleeper) Probe(ctx context.Context) (probe.Result, error) {
	select {
	case <-time.After(time.Duration(s)):
		return probe.Result{}, nil
	case <-ctx.Done():
		return probe.Result{}, ctx.Err()
	}
}

func (s sleeper) Close() error { return nil }

// BenchmarkGroup runs monitors that dial a server in another process every 10
// seconds, for 25 seconds.
func BenchmarkGroup(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			sink := startSink(b)
			for b.Loop() {
				began := time.Now()
				l := runLoad(b, n, 10*time.Second, 25*time.Second, "tcp", fmt.Sprintf("address = %q", sink), probe.Builtin()["tcp"])
				l.report(b, began)
			}
		})
	}
}

// BenchmarkGroupExec10000 runs 10,000 exec monitors of 5 ms each, all due within 10
// seconds.
func BenchmarkGroupExec10000(b *testing.B) {
	kind := func(decode func(any) error, _ probe.Env) (probe.Probe, error) {
		return sleeper(5 * time.Millisecond), decode(&struct{}{})
	}
	for b.Loop() {
		began := time.Now()
		l := runLoad(b, 10_000, 10*time.Second, 25*time.Second, "exec", "", kind)
		l.report(b, began)
		b.ReportMetric(float64(l.most.Load()), "at-once")
	}
}

func (l *load) report(b *testing.B, began time.Time) {
	b.Helper()
	late := l.lateness()
	most, mean := l.bursts(began.Add(10*time.Second), began.Add(25*time.Second))
	c := l.g.Counters()
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(ms(quantile(late, 0.5)), "late-p50-ms")
	b.ReportMetric(ms(quantile(late, 0.99)), "late-p99-ms")
	b.ReportMetric(ms(late[len(late)-1]), "late-max-ms")
	b.ReportMetric(float64(most), "max/100ms")
	b.ReportMetric(mean, "mean/100ms")
	b.ReportMetric(l.cpu.Seconds()*1000/float64(len(late)), "cpu-s/1000")
	b.ReportMetric(float64(l.rss)/(1<<20), "RSS-MiB")
	b.ReportMetric(float64(l.goroutines), "goroutines")
	b.ReportMetric(float64(c.Missed+c.Failures), "missed+failed")
	b.ReportMetric(0, "ns/op")
}
