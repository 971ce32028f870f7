package handler

import (
	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// status reads a Status.
func (d *decoder) status(msg []byte) rejection {
	e := &d.event
	var f field
	var body span
	infos, dirty := 0, false
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
			e.Status = int32(f.val)
		case 3<<3 | bytesType:
			infos++
			dirty = dirty || infos > 1 || !clean(f.bytes, health.MaxText)
			body.add(pos, pos+n)
		case 4<<3 | varintType:
			e.Timestamp = int64(f.val)
		case 5<<3 | varintType:
			e.Interval = int64(f.val)
		case 6<<3 | varintType:
			e.TTL = int64(f.val)
		}
		pos += n
	}
	if _, ok := healthpb.Status_Status_name[e.Status]; !ok {
		d.unknownEnum()
	}
	e.Body = body.of(msg)
	if dirty {
		if text := d.text(last(msg, 3), health.MaxText); len(text) > 0 {
			d.body = appendBytes(d.body, 3, text)
		}
		e.Body = d.body
	}
	return rejection{}
}
