package ingest

import (
	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/wire"
)

// check reads a HealthCheck.
func (d *decoder) check(msg []byte) rejection {
	e := &d.event
	var f wire.Field
	var body wire.Span
	var results seenPairs
	errors, dirty := 0, false
	for pos := 0; pos < len(msg); {
		n := f.Read(msg[pos:])
		if n == 0 {
			return rejection{malformed, "event"}
		}
		switch f.Tag {
		case 1<<3 | wire.Bytes:
			e.ID = f.Bytes
		case 2<<3 | wire.Bytes:
			e.Description = f.Bytes
		case 3<<3 | wire.Varint:
			e.Timestamp = int64(f.Value)
		case 4<<3 | wire.Varint:
			e.Interval = int64(f.Value)
		case 5<<3 | wire.Varint:
			e.TTL = int64(f.Value)
		case 6<<3 | wire.Bytes:
			if rej := d.readService(f.Bytes); rej.reason != accepted {
				return rej
			}
		case 7<<3 | wire.Varint:
			e.Status = int32(f.Value)
		case 8<<3 | wire.Bytes:
			if !results.add(f.Bytes) {
				return rejection{malformed, "results"}
			}
			body.Add(pos, pos+n)
		case 9<<3 | wire.Bytes:
			errors++
			dirty = dirty || errors > 1 || !clean(f.Bytes, health.MaxText)
			body.Add(pos, pos+n)
		}
		pos += n
	}
	if !clean(e.Description, health.MaxText) {
		e.Description = d.text(e.Description, health.MaxText)
	}
	if _, ok := healthpb.HealthCheck_Status_name[e.Status]; !ok {
		d.unknownEnum()
	}
	e.Body = body.Of(msg)
	if dirty || body.Scattered || results.dirty(health.MaxResultsTotal) {
		d.rebuildCheck(msg)
	}
	return rejection{}
}

func (d *decoder) unknownEnum() {
	d.repairs.add(repairEnum)
	d.event.Status = 0
}

// rebuildCheck writes the body anew, with repairs, from a well-formed message.
func (d *decoder) rebuildCheck(msg []byte) {
	d.body = d.rebuildPairs(d.body, msg, 8, health.MaxResultsTotal)
	if text := d.text(last(msg, 9), health.MaxText); len(text) > 0 {
		d.body = wire.AppendBytes(d.body, 9, text)
	}
	d.event.Body = d.body
}

// last returns the bytes of the last field of that number in a well-formed
// message: the one that counts.
func last(msg []byte, num uint64) (b []byte) {
	var f wire.Field
	for len(msg) > 0 {
		msg = msg[f.Read(msg):]
		if f.Tag == num<<3|wire.Bytes {
			b = f.Bytes
		}
	}
	return b
}
