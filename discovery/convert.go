package discovery

import (
	"time"

	"github.com/microhq/monitor-srv/probe"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// statusOf returns a published status in the words of probes.
func statusOf(s healthpb.HealthCheck_Status) probe.CheckStatus {
	switch s {
	case healthpb.HealthCheck_OK:
		return probe.CheckOK
	case healthpb.HealthCheck_WARNING:
		return probe.CheckWarning
	case healthpb.HealthCheck_ERROR:
		return probe.CheckError
	}
	return probe.CheckUnknown
}

// nodeStats returns the stats that a node published age ago.
func nodeStats(p *healthpb.Stats, node string, age time.Duration) probe.NodeStats {
	cpu, run, disk := p.GetCpu(), p.GetRuntime(), p.GetDisk()
	out := probe.NodeStats{
		Node: node, Age: age,
		MaxRSS: p.GetMemory().GetMaxRss(), InBlock: disk.GetInBlock(), OuBlock: disk.GetOuBlock(),
		NumThreads: run.GetNumThreads(), HeapTotal: run.GetHeapTotal(), HeapInUse: run.GetHeapInUse(),
		UserTime: cpu.GetUserTime(), SystemTime: cpu.GetSystemTime(),
		VolCtxSwitches: cpu.GetVolCtxSwitch(), InvCtxSwitch: cpu.GetInvCtxSwitch(),
	}
	for _, e := range p.Endpoints {
		if e.Side == healthpb.Endpoint_CLIENT {
			continue // its calls to other services are not its endpoints
		}
		out.Endpoints = append(out.Endpoints, probe.EndpointStats{
			Method: e.Method, Success: requestStats(e.Success), Errors: requestStats(e.Errors), Dropped: requestStats(e.Dropped),
		})
	}
	return out
}

func requestStats(m *healthpb.Metrics) probe.RequestStats {
	return probe.RequestStats{Count: m.GetCount(), Mean: m.GetMean(), StdDev: m.GetStdDev(), Upper95: m.GetUpper95()}
}
