package store

import (
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func (e *entry) fillCheck(c *Check, now time.Duration) {
	n := e.node
	*c = Check{
		Service: n.version.service.name, Version: n.version.name, Node: n.id, Address: n.address,
		ID: e.id.value, Description: e.description.value,
		Status:    healthpb.HealthCheck_Status(e.status),
		Reported:  healthpb.HealthCheck_Status(e.reported),
		Source:    healthpb.HealthCheck_Source(e.source),
		Timestamp: e.timestamp, Received: int64(e.received), Since: int64(e.since), Age: now - e.arrival,
		Interval: e.interval(), TTL: e.ttl(),
		Missing: e.state == missing, Stopped: e.state == stopped, Skewed: e.skewed,
		metadata: n.metadata, body: e.body,
	}
}

func (e *entry) fillNodeStatus(out *NodeStatus) {
	n := e.node
	*out = NodeStatus{
		Service: n.version.service.name, Version: n.version.name, Node: n.id, Address: n.address,
		Status: healthpb.Status_Status(e.status), Reported: healthpb.Status_Status(e.reported),
		Timestamp: e.timestamp, Received: int64(e.received), Since: int64(e.since),
		Interval: e.interval(), TTL: e.ttl(),
		Missing: e.state == missing, Skewed: e.skewed,
		metadata: n.metadata, body: e.body,
	}
}

func (e *entry) fillNodeStats(out *NodeStats, now time.Duration) {
	n := e.node
	*out = NodeStats{
		Service: n.version.service.name, Version: n.version.name, Node: n.id, Address: n.address,
		Timestamp: e.timestamp, Received: int64(e.received), Age: now - e.arrival,
		Interval: e.interval(), TTL: e.ttl(),
		Missing: e.state == missing, Stopped: e.state == stopped, Skewed: e.skewed,
		metadata: n.metadata, body: e.body,
	}
}

// fillSummary summarizes the nodes of the version that q selects.
func (v *version) fillSummary(out *NodeStatus, q *Query) {
	if q.Node != "" {
		e := v.nodes.m[q.Node].status
		e.fillNodeStatus(out)
		out.Node, out.Address, out.metadata, out.body = "", "", "", ""
		out.Counts[e.status] = 1
		return
	}
	*out = NodeStatus{
		Service: v.service.name, Version: v.name, Counts: v.counts,
		Timestamp: v.timestamp, Received: v.received, Since: v.since,
		Missing: v.counts == [4]int{},
	}
	if q.Missing {
		out.Counts[healthpb.Status_UNKNOWN] += v.missing
	}
	out.Status = worst(out.Counts)
	out.Reported = out.Status
}
