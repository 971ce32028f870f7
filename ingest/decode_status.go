package ingest

import (
	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/wire"
)

// decodeStatus decodes a Status.
func (d *decoder) decodeStatus(msg []byte) rejection {
	e := &d.event
	var f wire.Field
	var body wire.Span
	infos, dirty := 0, false
	for pos := 0; pos < len(msg); {
		n := f.Read(msg[pos:])
		if n == 0 {
			return rejection{malformed, "event"}
		}
		switch f.Tag {
		case wire.StatusService<<3 | wire.Bytes:
			if rej := d.readService(f.Bytes); rej.reason != accepted {
				return rej
			}
		case wire.StatusStatus<<3 | wire.Varint:
			e.Status = int32(f.Value)
		case wire.StatusInfo<<3 | wire.Bytes:
			infos++
			dirty = dirty || infos > 1 || !validText(f.Bytes, health.MaxText)
			body.Add(pos, pos+n)
		case wire.StatusTimestamp<<3 | wire.Varint:
			e.Timestamp = int64(f.Value)
		case wire.StatusInterval<<3 | wire.Varint:
			e.Interval = int64(f.Value)
		case wire.StatusTTL<<3 | wire.Varint:
			e.TTL = int64(f.Value)
		}
		pos += n
	}
	if _, ok := healthpb.Status_Status_name[e.Status]; !ok {
		d.unknownEnum()
	}
	e.Body = body.Of(msg)
	if dirty {
		if text := d.repairText(wire.LastBytes(msg, wire.StatusInfo), health.MaxText); len(text) > 0 {
			d.bodyBuf = wire.AppendBytes(d.bodyBuf, wire.StatusInfo, text)
		}
		e.Body = d.bodyBuf
	}
	return rejection{}
}
