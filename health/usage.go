package health

import (
	"runtime"
	"runtime/metrics"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// usage is what the process has used since it started, as getrusage(2) tells it.
// What the operating system does not tell is zero.
type usage struct {
	user, system             uint64 // ns
	maxRSS                   uint64 // KiB on Linux, see proto/health.Memory
	inBlock, outBlock        uint64
	volSwitches, invSwitches uint64
}

// since is the part of u that was used after before. Counters that stepped back,
// as 32-bit ones do when they wrap, count as zero.
func (u usage) since(before usage) usage {
	return usage{
		user:        minus(u.user, before.user),
		system:      minus(u.system, before.system),
		maxRSS:      u.maxRSS,
		inBlock:     minus(u.inBlock, before.inBlock),
		outBlock:    minus(u.outBlock, before.outBlock),
		volSwitches: minus(u.volSwitches, before.volSwitches),
		invSwitches: minus(u.invSwitches, before.invSwitches),
	}
}

func minus(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}

// fill writes u into s. Nothing in s is left nil, because readers of 2016
// dereference all of it.
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

// runtimeFigures are those of the publishers of 2016: HeapAlloc and HeapInuse of
// runtime.MemStats, read in a way that does not stop the program.
func runtimeFigures() *healthpb.Runtime {
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
