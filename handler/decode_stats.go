package handler

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// stats reads a Stats.
func (d *decoder) stats(msg []byte) rejection {
	e := &d.event
	var f field
	var body span
	var seen seenStats
	for pos := 0; pos < len(msg); {
		n := f.read(msg[pos:])
		if n == 0 {
			return rejection{malformed, "event"}
		}
		switch f.tag {
		case 1<<3 | bytesType:
			if rej := d.readService(f.bytes); rej.reason != accepted {
				return rej
			}
		case 2<<3 | varintType:
			e.Timestamp = int64(f.val)
		case 3<<3 | varintType:
			e.Interval = int64(f.val)
		case 4<<3 | varintType:
			e.TTL = int64(f.val)
		case 5<<3 | bytesType, 6<<3 | bytesType, 7<<3 | bytesType, 8<<3 | bytesType:
			if !seen.figures(f.tag>>3, f.bytes) {
				return rejection{malformed, "figures"}
			}
			body.add(pos, pos+n)
		case 9<<3 | bytesType:
			if !seen.endpoint(f.bytes) {
				return rejection{malformed, "endpoints"}
			}
			body.add(pos, pos+n)
		}
		pos += n
	}
	e.Body = body.of(msg)
	if seen.bad || body.broken || seen.endpoints > health.MaxEndpoints {
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
	var f field
	for len(msg) > 0 {
		n := f.read(msg)
		if n == 0 {
			return false
		}
		msg = msg[n:]
		s.bad = s.bad || f.tag&7 != varintType || f.tag>>3 > figureCount[num-5]
	}
	return true
}

// endpoint looks at one endpoint and reports whether it is well-formed.
func (s *seenStats) endpoint(msg []byte) bool {
	s.endpoints++
	var f field
	var seen [17]int
	for len(msg) > 0 {
		n := f.read(msg)
		if n == 0 {
			return false
		}
		msg = msg[n:]
		switch f.tag {
		case 1<<3 | bytesType, 2<<3 | bytesType:
			s.bad = s.bad || !clean(f.bytes, maxEndpointName)
		case 3<<3 | bytesType, 4<<3 | bytesType, 5<<3 | bytesType:
			if !s.metrics(f.bytes) {
				return false
			}
		case 16<<3 | varintType:
			s.bad = s.bad || f.val > 1
		default:
			s.bad = true
			continue
		}
		num := f.tag >> 3
		seen[num]++
		s.bad = s.bad || seen[num] > 1
	}
	return true
}

func (s *seenStats) metrics(msg []byte) bool {
	var f field
	for len(msg) > 0 {
		n := f.read(msg)
		if n == 0 {
			return false
		}
		msg = msg[n:]
		switch f.tag {
		case 1<<3 | varintType:
			s.bad = s.bad || int64(f.val) < 0
		case 2<<3 | fixed64Type, 3<<3 | fixed64Type, 4<<3 | fixed64Type:
			s.bad = s.bad || !duration(math.Float64frombits(f.val))
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
	var f field
	for len(msg) > 0 {
		msg = msg[f.read(msg):]
		switch f.tag {
		case 5<<3 | bytesType, 6<<3 | bytesType, 7<<3 | bytesType, 8<<3 | bytesType:
			readFigures(&figures[f.tag>>3-5], f.bytes)
		case 9<<3 | bytesType:
			p := d.endpoint(f.bytes)
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
	var f field
	for len(msg) > 0 {
		msg = msg[f.read(msg):]
		if num := f.tag >> 3; f.tag&7 == varintType && num <= 4 {
			values[num-1] = f.val
		}
	}
}

func appendFigures(b []byte, figures *[4][4]uint64) []byte {
	for i, values := range figures {
		if values == [4]uint64{} {
			continue
		}
		b = appendMessage(b, protowire.Number(5+i), func(b []byte) []byte {
			for j := range figureCount[i] {
				b = appendUint(b, protowire.Number(j+1), values[j])
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
