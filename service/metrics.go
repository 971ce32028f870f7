package service

import (
	"log/slog"
	"net/http"

	"github.com/microhq/monitor-srv/ingest"
	"github.com/microhq/monitor-srv/web"
	"github.com/microhq/monitor-srv/web/metrics"
)

// newMetrics returns the handler of /metrics.
func (i *Instance) newMetrics(components []component, ports []port, log *slog.Logger) (http.Handler, error) {
	return metrics.NewHandler(metrics.NewCollector(metrics.Sources{
		Store: i.store, Group: i.monitors.group, Receivers: i.monitors.deliverer.Status, Version: i.version,
		Events: func() metrics.Events { return countEvents(i.events) },
		Components: func() []web.Component {
			all := make([]web.Component, len(components))
			for n, c := range components {
				all[n] = c.look().named(c.name, c.needed)
			}
			return all
		},
		Ports: func() []metrics.Port {
			all := make([]metrics.Port, len(ports))
			for n, p := range ports {
				all[n] = metrics.Port{Name: p.name, Connections: p.state()}
			}
			return all
		},
		RPC:      i.network.countCalls,
		Requests: func() []web.Requests { return i.web.Requests() },
	}), log)
}

// countEvents returns the counters of the bus. A refused event is also counted as dropped
// for cardinality.
func countEvents(events *ingest.Events) metrics.Events {
	c, q := events.Counters(), events.State()
	e := metrics.Events{
		Topics: make(map[string]metrics.Topic, len(c.Topics)), Rejected: c.Rejected, Repaired: c.Repaired,
		Dropped: c.Dropped, Queued: q.Depth, QueuedBytes: q.Bytes,
	}
	for name, t := range c.Topics {
		e.Dropped["cardinality"] += t.Refused
		e.Topics[name] = metrics.Topic{Bytes: t.Bytes, Results: map[string]uint64{
			"accepted": t.Accepted, "outdated": t.Outdated, "refused": t.Refused, "rejected": t.Rejected, "dropped": t.Dropped,
		}}
	}
	return e
}

// countCalls returns the counters of the RPC port.
func (n *network) countCalls() metrics.RPC {
	c := n.transport.Counters()
	rpc := metrics.RPC{
		Requests: c.Requests, InFlight: c.InFlight,
		Refused: map[string]uint64{"body": c.RefusedBodies, "other": c.RefusedOther},
		Panics:  c.Panics, Expired: c.Expired, Unanswered: c.Unanswered,
	}
	for _, call := range n.transport.Calls() {
		rpc.Calls = append(rpc.Calls, web.Requests{Path: call.Endpoint, Status: call.Code, Count: call.Count, Took: call.Took})
	}
	return rpc
}
