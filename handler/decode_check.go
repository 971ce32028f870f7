package handler

import (
	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// check reads a HealthCheck.
func (d *decoder) check(msg []byte) rejection {
	e := &d.event
	var f field
	var body span
	var results seenPairs
	errors, dirty := 0, false
	for pos := 0; pos < len(msg); {
		n := f.read(msg[pos:])
		if n == 0 {
			return rejection{malformed, "event"}
		}
		switch f.tag {
		case 1<<3 | bytesType:
			e.ID = f.bytes
		case 2<<3 | bytesType:
			e.Description = f.bytes
		case 3<<3 | varintType:
			e.Timestamp = int64(f.val)
		case 4<<3 | varintType:
			e.Interval = int64(f.val)
		case 5<<3 | varintType:
			e.TTL = int64(f.val)
		case 6<<3 | bytesType:
			if rej := d.readService(f.bytes); rej.reason != accepted {
				return rej
			}
		case 7<<3 | varintType:
			e.Status = int32(f.val)
		case 8<<3 | bytesType:
			if !results.add(f.bytes) {
				return rejection{malformed, "results"}
			}
			body.add(pos, pos+n)
		case 9<<3 | bytesType:
			errors++
			dirty = dirty || errors > 1 || !clean(f.bytes, health.MaxText)
			body.add(pos, pos+n)
		}
		pos += n
	}
	if !clean(e.Description, health.MaxText) {
		e.Description = d.text(e.Description, health.MaxText)
	}
	if _, ok := healthpb.HealthCheck_Status_name[e.Status]; !ok {
		d.unknownEnum()
	}
	e.Body = body.of(msg)
	if dirty || body.broken || results.dirty(health.MaxResultsTotal) {
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
		d.body = appendBytes(d.body, 9, text)
	}
	d.event.Body = d.body
}

// last returns the bytes of the last field of that number in a well-formed
// message: the one that counts.
func last(msg []byte, num uint64) (b []byte) {
	var f field
	for len(msg) > 0 {
		msg = msg[f.read(msg):]
		if f.tag == num<<3|bytesType {
			b = f.bytes
		}
	}
	return b
}
