package health

import (
	"math"
	"runtime"
	"testing"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func TestUsageIsTheDifferenceToTheLastStats(t *testing.T) {
	before := readUsage()
	x := 1.0
	for begin := time.Now(); time.Since(begin) < 30*time.Millisecond; {
		x = math.Sqrt(x + 1)
	}
	runtime.KeepAlive(x)
	now := readUsage()
	var s healthpb.Stats
	now.since(before).fill(&s)
	if runtime.GOOS != "linux" && s.GetCpu().GetUserTime() == 0 {
		t.Logf("%s reports no CPU time", runtime.GOOS)
		return
	}
	used := time.Duration(s.GetCpu().GetUserTime() + s.GetCpu().GetSystemTime())
	if used < time.Millisecond || used > 10*time.Second {
		t.Errorf("30 ms of work used %v", used)
	}
	if s.GetMemory().GetMaxRss() < 1000 {
		t.Errorf("max rss is %d", s.GetMemory().GetMaxRss())
	}
}

func TestRuntimeStatsAreThoseOfMemStats(t *testing.T) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	got := runtimeStats()
	near := func(got, want uint64) bool { return math.Abs(float64(got)-float64(want)) < 0.5*float64(want) }
	if !near(got.GetHeapTotal(), m.HeapAlloc) || !near(got.GetHeapInUse(), m.HeapInuse) {
		t.Errorf("heap %d and %d, want about %d and %d", got.GetHeapTotal(), got.GetHeapInUse(), m.HeapAlloc, m.HeapInuse)
	}
	if n := got.GetNumThreads(); n < 2 || n > 1000 {
		t.Errorf("%d goroutines", n)
	}
}
