package ingest

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/wire"
)

// stats reads a Stats.
func (d *decoder) stats(msg []byte) rejection {
	e := &d.event
	var f wire.Field
	var body wire.Span
	var seen seenStats
	for pos := 0; pos < len(msg); {
		n := f.Read(msg[pos:])
		if n == 0 {
			return rejection{malformed, "event"}
		}
		switch f.Tag {
		case 1<<3 | wire.Bytes:
			if rej := d.readService(f.Bytes); rej.reason != accepted {
				return rej
			}
		case 2<<3 | wire.Varint:
			e.Timestamp = int64(f.Value)
		case 3<<3 | wire.Varint:
			e.Interval = int64(f.Value)
		case 4<<3 | wire.Varint:
			e.TTL = int64(f.Value)
		case 5<<3 | wire.Bytes, 6<<3 | wire.Bytes, 7<<3 | wire.Bytes, 8<<3 | wire.Bytes:
			if !seen.figures(f.Tag>>3, f.Bytes) {
				return rejection{malformed, "figures"}
			}
			body.Add(pos, pos+n)
		case 9<<3 | wire.Bytes:
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

// figureCount is how many fields CPU, Memory, Disk and Runtime have, which are
// fields 5 to 8 of Stats. All are uint64 and numbered from 1.
var figureCount = [...]uint64{4, 1, 2, 3}

// seenStats judges the parts of a Stats one by one.
type seenStats struct {
	endpoints int
	seen      [4]bool // of fields 5 to 8
	bad       bool    // something needs a repair
}

// figures looks at field num, one of 5 to 8, and reports whether it is
// well-formed.
func (s *seenStats) figures(num uint64, msg []byte) bool {
	s.bad = s.bad || s.seen[num-5]
	s.seen[num-5] = true
	var f wire.Field
	for len(msg) > 0 {
		n := f.Read(msg)
		if n == 0 {
			return false
		}
		msg = msg[n:]
		s.bad = s.bad || f.Tag&7 != wire.Varint || f.Tag>>3 > figureCount[num-5]
	}
	return true
}

// endpoint looks at one endpoint and reports whether it is well-formed.
func (s *seenStats) endpoint(msg []byte) bool {
	s.endpoints++
	var f wire.Field
	var seen [17]int
	for len(msg) > 0 {
		n := f.Read(msg)
		if n == 0 {
			return false
		}
		msg = msg[n:]
		switch f.Tag {
		case 1<<3 | wire.Bytes, 2<<3 | wire.Bytes:
			s.bad = s.bad || !clean(f.Bytes, maxEndpointName)
		case 3<<3 | wire.Bytes, 4<<3 | wire.Bytes, 5<<3 | wire.Bytes:
			if !s.metrics(f.Bytes) {
				return false
			}
		case 16<<3 | wire.Varint:
			s.bad = s.bad || f.Value > 1
		default:
			s.bad = true
			continue
		}
		num := f.Tag >> 3
		seen[num]++
		s.bad = s.bad || seen[num] > 1
	}
	return true
}

func (s *seenStats) metrics(msg []byte) bool {
	var f wire.Field
	for len(msg) > 0 {
		n := f.Read(msg)
		if n == 0 {
			return false
		}
		msg = msg[n:]
		switch f.Tag {
		case 1<<3 | wire.Varint:
			s.bad = s.bad || int64(f.Value) < 0
		case 2<<3 | wire.Fixed64, 3<<3 | wire.Fixed64, 4<<3 | wire.Fixed64:
			s.bad = s.bad || !duration(math.Float64frombits(f.Value))
		default:
			s.bad = true
		}
	}
	return true
}

// duration reports whether v can be one.
func duration(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }

// rebuildStats writes the body anew, with repairs, from a well-formed message
// that holds so many endpoints.
func (d *decoder) rebuildStats(msg []byte, endpoints int) {
	room := endpoints
	if endpoints > health.MaxEndpoints {
		room = health.MaxEndpoints - 1
		d.repairs.add(repairEndpoints)
	}
	var figures [4][4]uint64
	other := endpoint{method: []byte(health.OtherEndpoints)}
	var rows []byte
	var f wire.Field
	for len(msg) > 0 {
		msg = msg[f.Read(msg):]
		switch f.Tag {
		case 5<<3 | wire.Bytes, 6<<3 | wire.Bytes, 7<<3 | wire.Bytes, 8<<3 | wire.Bytes:
			readFigures(&figures[f.Tag>>3-5], f.Bytes)
		case 9<<3 | wire.Bytes:
			p := d.endpoint(f.Bytes)
			if room == 0 {
				other.add(p)
				continue
			}
			room--
			rows = p.append(rows)
		}
	}
	d.body = appendFigures(d.body, &figures)
	d.body = append(d.body, rows...)
	if endpoints > health.MaxEndpoints {
		d.body = other.append(d.body)
	}
	d.event.Body = d.body
}

func readFigures(values *[4]uint64, msg []byte) {
	var f wire.Field
	for len(msg) > 0 {
		msg = msg[f.Read(msg):]
		if num := f.Tag >> 3; f.Tag&7 == wire.Varint && num <= 4 {
			values[num-1] = f.Value
		}
	}
}

func appendFigures(b []byte, figures *[4][4]uint64) []byte {
	for i, values := range figures {
		if values == [4]uint64{} {
			continue
		}
		b = wire.AppendMessage(b, protowire.Number(5+i), func(b []byte) []byte {
			for j := range figureCount[i] {
				b = wire.AppendUint(b, protowire.Number(j+1), values[j])
			}
			return b
		})
	}
	return b
}

// side returns the side of an endpoint, SERVER if the number is not known.
func (d *decoder) side(v uint64) healthpb.Endpoint_Side {
	side := healthpb.Endpoint_Side(int32(v))
	if _, ok := healthpb.Endpoint_Side_name[int32(side)]; !ok {
		d.repairs.add(repairEnum)
		return healthpb.Endpoint_SERVER
	}
	return side
}
