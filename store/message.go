package store

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/wire"
)

// unmarshal decodes wire bytes that were validated before they were stored.
func unmarshal[M proto.Message](body string, m M) M {
	if err := proto.Unmarshal([]byte(body), m); err != nil {
		proto.Reset(m)
	}
	return m
}

// nodeProto returns a node as a message.
func nodeProto(id, address, metadata string) *healthpb.Node {
	n := unmarshal(metadata, &healthpb.Node{})
	n.Id, n.Address = id, address
	return n
}

// serviceProto returns a service with one node as a message.
func serviceProto(service, version, node, address, metadata string) *healthpb.Service {
	sv := &healthpb.Service{Name: service, Version: version, Id: node}
	if node != "" {
		sv.Nodes = []*healthpb.Node{nodeProto(node, address, metadata)}
	}
	return sv
}

// Proto returns the check as a message.
func (c Check) Proto() *healthpb.HealthCheck {
	m := unmarshal(c.body, &healthpb.HealthCheck{})
	m.Id, m.Description = c.ID, c.Description
	m.Timestamp, m.Interval, m.Ttl = c.Timestamp, int64(c.Interval/time.Second), int64(c.TTL/time.Second)
	m.Service = serviceProto(c.Service, c.Version, c.Node, c.Address, c.metadata)
	m.Status, m.Source = c.Status, c.Source
	if c.Reported != c.Status {
		m.Reported = c.Reported
	}
	m.Received, m.Since = c.Received, c.Since
	m.Missing, m.Skewed, m.Stopped = c.Missing, c.Skewed, c.Stopped
	m.StatusName = m.Status.String()
	return m
}

// Proto returns the status as a message.
func (n NodeStatus) Proto() *healthpb.Status {
	m := unmarshal(n.body, &healthpb.Status{})
	m.Service = serviceProto(n.Service, n.Version, n.Node, n.Address, n.metadata)
	m.Timestamp, m.Interval, m.Ttl = n.Timestamp, int64(n.Interval/time.Second), int64(n.TTL/time.Second)
	m.Status, m.StatusName = n.Status, n.Status.String()
	if n.Reported != n.Status {
		m.Reported = n.Reported
	}
	m.Received, m.Since = n.Received, n.Since
	m.Missing, m.Skewed = n.Missing, n.Skewed
	m.UnknownNodes = int64(n.Counts[healthpb.Status_UNKNOWN])
	m.StartedNodes = int64(n.Counts[healthpb.Status_STARTED])
	m.RunningNodes = int64(n.Counts[healthpb.Status_RUNNING])
	m.StoppedNodes = int64(n.Counts[healthpb.Status_STOPPED])
	return m
}

// Proto returns the stats as a message.
func (n NodeStats) Proto() *healthpb.Stats {
	m := unmarshal(n.body, &healthpb.Stats{})
	m.Service = serviceProto(n.Service, n.Version, n.Node, n.Address, n.metadata)
	m.Timestamp, m.Interval, m.Ttl = n.Timestamp, int64(n.Interval/time.Second), int64(n.TTL/time.Second)
	m.Received = n.Received
	m.Missing, m.Skewed, m.Stopped = n.Missing, n.Skewed, n.Stopped
	return m
}

// Proto returns the version as a message.
func (v Version) Proto() *healthpb.Service {
	m := &healthpb.Service{Name: v.Service, Version: v.Version}
	for _, n := range v.Nodes {
		node := nodeProto(n.ID, n.Address, n.metadata)
		node.Conflict = n.Conflict
		m.Nodes = append(m.Nodes, node)
	}
	return m
}

// AppendWire appends the wire bytes of the message that Proto returns, without
// building it: results and error are copied as they were received.
func (c Check) AppendWire(b []byte) []byte {
	b = wire.AppendString(b, wire.HealthCheckID, c.ID)
	b = wire.AppendString(b, wire.HealthCheckDescription, c.Description)
	b = wire.AppendInt(b, wire.HealthCheckTimestamp, c.Timestamp)
	b = wire.AppendInt(b, wire.HealthCheckInterval, int64(c.Interval/time.Second))
	b = wire.AppendInt(b, wire.HealthCheckTTL, int64(c.TTL/time.Second))
	b = c.appendService(b, wire.HealthCheckService)
	b = wire.AppendInt(b, wire.HealthCheckStatus, int64(c.Status))
	b = append(b, c.body...)
	b = wire.AppendInt(b, wire.HealthCheckReceived, c.Received)
	b = wire.AppendInt(b, wire.HealthCheckSince, c.Since)
	if c.Reported != c.Status {
		b = wire.AppendInt(b, wire.HealthCheckReported, int64(c.Reported))
	}
	b = wire.AppendInt(b, wire.HealthCheckSource, int64(c.Source))
	b = wire.AppendBool(b, wire.HealthCheckMissing, c.Missing)
	b = wire.AppendBool(b, wire.HealthCheckSkewed, c.Skewed)
	b = wire.AppendBool(b, wire.HealthCheckStopped, c.Stopped)
	return wire.AppendString(b, wire.HealthCheckStatusName, c.Status.String())
}

// appendService appends a Service with its one Node.
func (c Check) appendService(b []byte, num protowire.Number) []byte {
	node := wire.SizeString(wire.NodeID, c.Node) + wire.SizeString(wire.NodeAddress, c.Address) + len(c.metadata)
	size := wire.SizeString(wire.ServiceName, c.Service) + wire.SizeString(wire.ServiceVersion, c.Version) +
		protowire.SizeTag(wire.ServiceNodes) + protowire.SizeBytes(node) + wire.SizeString(wire.ServiceID, c.Node)
	b = protowire.AppendTag(b, num, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = wire.AppendString(b, wire.ServiceName, c.Service)
	b = wire.AppendString(b, wire.ServiceVersion, c.Version)
	b = protowire.AppendTag(b, wire.ServiceNodes, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(node))
	b = wire.AppendString(b, wire.NodeID, c.Node)
	b = wire.AppendString(b, wire.NodeAddress, c.Address)
	b = append(b, c.metadata...)
	return wire.AppendString(b, wire.ServiceID, c.Node)
}

// Size returns about how many bytes AppendWire appends.
func (c Check) Size() int {
	const rest = 64 // tags, lengths and numbers
	return len(c.ID) + len(c.Description) + len(c.Service) + len(c.Version) + 2*len(c.Node) +
		len(c.Address) + len(c.metadata) + len(c.body) + rest
}

// AppendJSON appends the message that Proto returns as encoding/json writes it, without
// building it.
func (c Check) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	b = wire.AppendJSONString(b, "id", c.ID)
	b = wire.AppendJSONString(b, "description", c.Description)
	b = wire.AppendJSONInt(b, "timestamp", c.Timestamp)
	b = wire.AppendJSONInt(b, "interval", int64(c.Interval/time.Second))
	b = wire.AppendJSONInt(b, "ttl", int64(c.TTL/time.Second))
	b = append(b, `"service":{`...)
	b = wire.AppendJSONString(b, "name", c.Service)
	b = wire.AppendJSONString(b, "version", c.Version)
	b = append(b, `"nodes":[{`...)
	b = wire.AppendJSONString(b, "id", c.Node)
	b = wire.AppendJSONString(b, "address", c.Address)
	b = wire.AppendJSONMap(b, "metadata", []byte(c.metadata), wire.NodeMetadata)
	b = wire.CloseJSON(b, "}],")
	b = wire.AppendJSONString(b, "id", c.Node)
	b = wire.CloseJSON(b, "},")
	b = wire.AppendJSONInt(b, "status", int64(c.Status))
	body := []byte(c.body)
	b = wire.AppendJSONMap(b, "results", body, wire.HealthCheckResults)
	b = wire.AppendJSONString(b, "error", wire.LastBytes(body, wire.HealthCheckError))
	b = wire.AppendJSONInt(b, "received", c.Received)
	b = wire.AppendJSONInt(b, "since", c.Since)
	if c.Reported != c.Status {
		b = wire.AppendJSONInt(b, "reported", int64(c.Reported))
	}
	b = wire.AppendJSONInt(b, "source", int64(c.Source))
	b = wire.AppendJSONBool(b, "missing", c.Missing)
	b = wire.AppendJSONBool(b, "skewed", c.Skewed)
	b = wire.AppendJSONBool(b, "stopped", c.Stopped)
	b = wire.AppendJSONString(b, "status_name", c.Status.String())
	return wire.CloseJSON(b, "}")
}
