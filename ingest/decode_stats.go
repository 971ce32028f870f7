package ingest

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/wire"
)

// decodeStats decodes a Stats.
func (d *decoder) decodeStats(msg []byte) rejection {
	e := &d.event
	var f wire.Field
	var body wire.Span
	var seen statsScan
	for pos := 0; pos < len(msg); {
		n := f.Read(msg[pos:])
		if n == 0 {
			return rejection{malformed, "event"}
		}
		switch f.Tag {
		case wire.StatsService<<3 | wire.Bytes:
			if rej := d.readService(f.Bytes); rej.reason != accepted {
				return rej
			}
		case wire.StatsTimestamp<<3 | wire.Varint:
			e.Timestamp = int64(f.Value)
		case wire.StatsInterval<<3 | wire.Varint:
			e.Interval = int64(f.Value)
		case wire.StatsTTL<<3 | wire.Varint:
			e.TTL = int64(f.Value)
		case wire.StatsCPU<<3 | wire.Bytes, wire.StatsMemory<<3 | wire.Bytes, wire.StatsDisk<<3 | wire.Bytes, wire.StatsRuntime<<3 | wire.Bytes:
			if !seen.usage(f.Tag>>3-wire.StatsCPU, f.Bytes) {
				return rejection{malformed, "usage"}
			}
			body.Add(pos, pos+n)
		case wire.StatsEndpoints<<3 | wire.Bytes:
			if !seen.endpoint(f.Bytes) {
				return rejection{malformed, "endpoints"}
			}
			body.Add(pos, pos+n)
		}
		pos += n
	}
	e.Body = body.Of(msg)
	if seen.bad || body.Scattered || seen.endpoints > health.MaxEndpoints {
		d.rebuildStats(msg, seen.endpoints)
	}
	return rejection{}
}

// The usage of a node is in four consecutive fields of Stats, from CPU to Runtime.
// Each is a message of uint64 fields, numbered from 1.
const (
	usageParts  = wire.StatsRuntime - wire.StatsCPU + 1
	usageFields = wire.CPUInvCtxSwitch // of the largest part
)

// usageMax is the largest field number of each part.
var usageMax = [usageParts]uint64{wire.CPUInvCtxSwitch, wire.MemoryMaxRSS, wire.DiskOuBlock, wire.RuntimeHeapInUse}

// usage holds the values of each part.
type usage [usageParts][usageFields]uint64

// statsScan checks usage and endpoints of a Stats one by one.
type statsScan struct {
	endpoints int
	seen      [usageParts]bool
	bad       bool // something needs a repair
}

// usage checks a part of the usage and reports whether it is well-formed.
func (s *statsScan) usage(part uint64, msg []byte) bool {
	s.bad = s.bad || s.seen[part]
	s.seen[part] = true
	var f wire.Field
	for f.Next(&msg) {
		s.bad = s.bad || f.Tag&7 != wire.Varint || f.Tag>>3 > usageMax[part]
	}
	return len(msg) == 0
}

// endpoint checks one endpoint and reports whether it is well-formed.
func (s *statsScan) endpoint(msg []byte) bool {
	s.endpoints++
	var f wire.Field
	var seen [wire.EndpointSide + 1]int
	for f.Next(&msg) {
		switch f.Tag {
		case wire.EndpointService<<3 | wire.Bytes, wire.EndpointMethod<<3 | wire.Bytes:
			s.bad = s.bad || !validText(f.Bytes, maxEndpointName)
		case wire.EndpointErrors<<3 | wire.Bytes, wire.EndpointSuccess<<3 | wire.Bytes, wire.EndpointDropped<<3 | wire.Bytes:
			if !s.metrics(f.Bytes) {
				return false
			}
		case wire.EndpointSide<<3 | wire.Varint:
			s.bad = s.bad || f.Value > 1
		default:
			s.bad = true
			continue
		}
		num := f.Tag >> 3
		seen[num]++
		s.bad = s.bad || seen[num] > 1
	}
	return len(msg) == 0
}

func (s *statsScan) metrics(msg []byte) bool {
	var f wire.Field
	for f.Next(&msg) {
		switch f.Tag {
		case wire.MetricsCount<<3 | wire.Varint:
			s.bad = s.bad || int64(f.Value) < 0
		case wire.MetricsMean<<3 | wire.Fixed64, wire.MetricsStdDev<<3 | wire.Fixed64, wire.MetricsUpper95<<3 | wire.Fixed64:
			s.bad = s.bad || !isDuration(math.Float64frombits(f.Value))
		default:
			s.bad = true
		}
	}
	return len(msg) == 0
}

// isDuration reports whether v can be a duration.
func isDuration(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }

// rebuildStats rebuilds the body of a well-formed message with repairs. The message
// has the given number of endpoints.
func (d *decoder) rebuildStats(msg []byte, endpoints int) {
	room := endpoints
	if endpoints > health.MaxEndpoints {
		room = health.MaxEndpoints - 1
		d.repairs.add(repairEndpoints)
	}
	var used usage
	other := endpoint{method: []byte(health.OtherEndpoints)}
	var rows []byte
	var f wire.Field
	for f.Next(&msg) {
		switch f.Tag {
		case wire.StatsCPU<<3 | wire.Bytes, wire.StatsMemory<<3 | wire.Bytes, wire.StatsDisk<<3 | wire.Bytes, wire.StatsRuntime<<3 | wire.Bytes:
			used.read(f.Tag>>3-wire.StatsCPU, f.Bytes)
		case wire.StatsEndpoints<<3 | wire.Bytes:
			p := d.repairEndpoint(f.Bytes)
			if room == 0 {
				other.add(p)
				continue
			}
			room--
			rows = p.append(rows)
		}
	}
	d.bodyBuf = used.append(d.bodyBuf)
	d.bodyBuf = append(d.bodyBuf, rows...)
	if endpoints > health.MaxEndpoints {
		d.bodyBuf = other.append(d.bodyBuf)
	}
	d.event.Body = d.bodyBuf
}

// read reads a well-formed part.
func (u *usage) read(part uint64, msg []byte) {
	var f wire.Field
	for f.Next(&msg) {
		if num := f.Tag >> 3; f.Tag&7 == wire.Varint && num <= usageFields {
			u[part][num-1] = f.Value
		}
	}
}

func (u *usage) append(b []byte) []byte {
	for i, values := range u {
		if values == [usageFields]uint64{} {
			continue
		}
		b = wire.AppendMessage(b, protowire.Number(wire.StatsCPU+i), func(b []byte) []byte {
			for j := range usageMax[i] {
				b = wire.AppendUint(b, protowire.Number(j+1), values[j])
			}
			return b
		})
	}
	return b
}

// repairSide returns the side of an endpoint, SERVER if the number is unknown.
func (d *decoder) repairSide(v uint64) healthpb.Endpoint_Side {
	side := healthpb.Endpoint_Side(int32(v))
	if _, ok := healthpb.Endpoint_Side_name[int32(side)]; !ok {
		d.repairs.add(repairEnum)
		return healthpb.Endpoint_SERVER
	}
	return side
}
