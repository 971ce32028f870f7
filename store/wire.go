package store

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// unmarshal reads wire bytes that were validated before they were stored.
func unmarshal(body string, m proto.Message) {
	if err := proto.Unmarshal([]byte(body), m); err != nil {
		proto.Reset(m)
	}
}

// nodeProto returns a node as a message.
func nodeProto(id, address, metadata string) *healthpb.Node {
	n := &healthpb.Node{}
	unmarshal(metadata, n)
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
	m := &healthpb.HealthCheck{}
	unmarshal(c.body, m)
	m.Id, m.Description = c.ID, c.Description
	m.Timestamp, m.Interval, m.Ttl = c.Timestamp, int64(c.Interval/time.Second), int64(c.TTL/time.Second)
	m.Service = serviceProto(c.Service, c.Version, c.Node, c.Address, c.metadata)
	m.Status, m.Source = c.Status, c.Source
	if c.Reported != c.Status {
		m.Reported = c.Reported
	}
	m.Received, m.Since = c.Received, c.Since
	m.Missing, m.Skewed = c.Missing, c.Skewed
	return m
}

// Proto returns the status as a message.
func (n NodeStatus) Proto() *healthpb.Status {
	m := &healthpb.Status{}
	unmarshal(n.body, m)
	m.Service = serviceProto(n.Service, n.Version, n.Node, n.Address, n.metadata)
	m.Timestamp, m.Interval, m.Ttl = n.Timestamp, int64(n.Interval/time.Second), int64(n.TTL/time.Second)
	m.Status = n.Status
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

// Proto returns the figures as a message.
func (n NodeStats) Proto() *healthpb.Stats {
	m := &healthpb.Stats{}
	unmarshal(n.body, m)
	m.Service = serviceProto(n.Service, n.Version, n.Node, n.Address, n.metadata)
	m.Timestamp, m.Interval, m.Ttl = n.Timestamp, int64(n.Interval/time.Second), int64(n.TTL/time.Second)
	m.Received = n.Received
	m.Missing, m.Skewed = n.Missing, n.Skewed
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

// AppendWire appends the wire bytes of the message of Proto, without building the
// message: the results and the error are copied as they came in.
func (c Check) AppendWire(b []byte) []byte {
	b = appendString(b, 1, c.ID)
	b = appendString(b, 2, c.Description)
	b = appendInt(b, 3, c.Timestamp)
	b = appendInt(b, 4, int64(c.Interval/time.Second))
	b = appendInt(b, 5, int64(c.TTL/time.Second))
	b = c.appendService(b, 6)
	b = appendInt(b, 7, int64(c.Status))
	b = append(b, c.body...)
	b = appendInt(b, 16, c.Received)
	b = appendInt(b, 17, c.Since)
	if c.Reported != c.Status {
		b = appendInt(b, 18, int64(c.Reported))
	}
	b = appendInt(b, 19, int64(c.Source))
	b = appendBool(b, 20, c.Missing)
	return appendBool(b, 21, c.Skewed)
}

// appendService appends a Service with its one Node.
func (c Check) appendService(b []byte, field protowire.Number) []byte {
	node := sizeString(1, c.Node) + sizeString(2, c.Address) + len(c.metadata)
	size := sizeString(1, c.Service) + sizeString(2, c.Version) +
		protowire.SizeTag(3) + protowire.SizeBytes(node) + sizeString(4, c.Node)
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = appendString(b, 1, c.Service)
	b = appendString(b, 2, c.Version)
	b = protowire.AppendTag(b, 3, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(node))
	b = appendString(b, 1, c.Node)
	b = appendString(b, 2, c.Address)
	b = append(b, c.metadata...)
	return appendString(b, 4, c.Node)
}

// Absent fields and zero mean the same in proto3.

func sizeString(field protowire.Number, v string) int {
	if v == "" {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeBytes(len(v))
}

func appendString(b []byte, field protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

func appendBool(b []byte, field protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return appendInt(b, field, 1)
}
