package testkit

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// CPUTime returns the CPU time of this process.
func CPUTime(t testing.TB) time.Duration { t.Helper(); return usage(t, syscall.RUSAGE_SELF) }

// MeasureCPU runs op in the loop of a benchmark and reports the CPU time that the
// process took on all cores for each, which says more than the clock on a shared
// machine.
func MeasureCPU(b *testing.B, op func()) {
	b.Helper()
	b.ReportAllocs()
	begin := CPUTime(b)
	for b.Loop() {
		op()
	}
	b.ReportMetric(float64(CPUTime(b)-begin)/float64(b.N), "cpu-ns/op")
}

// CPUTimeWithChildren returns the CPU time of this process and of its children
// that have ended.
func CPUTimeWithChildren(t testing.TB) time.Duration {
	t.Helper()
	return CPUTime(t) + usage(t, syscall.RUSAGE_CHILDREN)
}

func usage(t testing.TB, who int) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// HeapInUse collects garbage and returns the bytes of the heap that are in use.
func HeapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// PeakGrowth runs f and returns by how many bytes the peak of the resident memory
// of this process meanwhile exceeds the resident memory before.
func PeakGrowth(t testing.TB, f func()) int64 {
	t.Helper()
	runtime.GC()
	ResetPeak(t, os.Getpid())
	before := PeakMemory(t, os.Getpid())
	f()
	return PeakMemory(t, os.Getpid()) - before
}

// ResetPeak sets the peak of a process's resident memory to the memory that is
// resident now.
func ResetPeak(t testing.TB, pid int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// PeakMemory returns the peak of a process's resident memory since ResetPeak, in
// bytes.
func PeakMemory(t testing.TB, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "\nVmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatalf("reading VmHWM of process %d: %v", pid, err)
	}
	return kib << 10
}
