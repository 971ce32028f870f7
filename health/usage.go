package health

import (
	"runtime"
	"runtime/metrics"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// usage is what the process has used since it started, as getrusage(2) reports it.
// What the operating system does not report is zero.
type usage struct {
	user, system             uint64 // ns
	maxRSS                   uint64 // KiB on Linux, see proto/health.Memory
	inBlock, outBlock        uint64
	volSwitches, invSwitches uint64
}

// since returns what was used after before. A counter that went back, as a 32-bit
// counter does when it overflows, counts as zero.
func (u usage) since(before usage) usage {
	return usage{
		user:        difference(u.user, before.user),
		system:      difference(u.system, before.system),
		maxRSS:      u.maxRSS,
		inBlock:     difference(u.inBlock, before.inBlock),
		outBlock:    difference(u.outBlock, before.outBlock),
		volSwitches: difference(u.volSwitches, before.volSwitches),
		invSwitches: difference(u.invSwitches, before.invSwitches),
	}
}

func difference(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}

// fill writes u into s. It leaves no message in s nil, because old readers dereference
// all of them.
func (u usage) fill(s *healthpb.Stats) {
	s.Cpu = &healthpb.CPU{
		UserTime:     u.user,
		SystemTime:   u.system,
		VolCtxSwitch: u.volSwitches,
		InvCtxSwitch: u.invSwitches,
	}
	s.Memory = &healthpb.Memory{MaxRss: u.maxRSS}
	s.Disk = &healthpb.Disk{InBlock: u.inBlock, OuBlock: u.outBlock}
}

// runtimeStats returns the number of goroutines, and HeapAlloc and HeapInuse of
// runtime.MemStats, read in a way that does not stop the program.
func runtimeStats() *healthpb.Runtime {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
	}
	metrics.Read(samples)
	var sizes [2]uint64
	for i, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			sizes[i] = s.Value.Uint64()
		}
	}
	return &healthpb.Runtime{
		NumThreads: uint64(runtime.NumGoroutine()),
		HeapTotal:  sizes[0],
		HeapInUse:  sizes[0] + sizes[1],
	}
}
