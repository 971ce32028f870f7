package ingest

import (
	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/wire"
)

// decodeCheck decodes a HealthCheck.
func (d *decoder) decodeCheck(msg []byte) rejection {
	e := &d.event
	var f wire.Field
	var body wire.Span
	var results mapScan
	errors, dirty := 0, false
	for pos := 0; pos < len(msg); {
		n := f.Read(msg[pos:])
		if n == 0 {
			return rejection{malformed, "event"}
		}
		switch f.Tag {
		case wire.HealthCheckID<<3 | wire.Bytes:
			e.ID = f.Bytes
		case wire.HealthCheckDescription<<3 | wire.Bytes:
			e.Description = f.Bytes
		case wire.HealthCheckTimestamp<<3 | wire.Varint:
			e.Timestamp = int64(f.Value)
		case wire.HealthCheckInterval<<3 | wire.Varint:
			e.Interval = int64(f.Value)
		case wire.HealthCheckTTL<<3 | wire.Varint:
			e.TTL = int64(f.Value)
		case wire.HealthCheckService<<3 | wire.Bytes:
			if rej := d.readService(f.Bytes); rej.reason != accepted {
				return rej
			}
		case wire.HealthCheckStatus<<3 | wire.Varint:
			e.Status = int32(f.Value)
		case wire.HealthCheckResults<<3 | wire.Bytes:
			if !results.add(f.Bytes) {
				return rejection{malformed, "results"}
			}
			body.Add(pos, pos+n)
		case wire.HealthCheckError<<3 | wire.Bytes:
			errors++
			dirty = dirty || errors > 1 || !validText(f.Bytes, health.MaxText)
			body.Add(pos, pos+n)
		}
		pos += n
	}
	if !validText(e.Description, health.MaxText) {
		e.Description = d.repairText(e.Description, health.MaxText)
	}
	if _, ok := healthpb.HealthCheck_Status_name[e.Status]; !ok {
		d.unknownEnum()
	}
	e.Body = body.Of(msg)
	if dirty || body.Scattered || results.needsRepair(health.MaxResultsTotal) {
		d.rebuildCheck(msg)
	}
	return rejection{}
}

func (d *decoder) unknownEnum() {
	d.repairs.add(repairEnum)
	d.event.Status = 0
}

// rebuildCheck rebuilds the body of a well-formed message with repairs.
func (d *decoder) rebuildCheck(msg []byte) {
	d.bodyBuf = d.rebuildMap(d.bodyBuf, msg, wire.HealthCheckResults, health.MaxResultsTotal)
	if text := d.repairText(wire.LastBytes(msg, wire.HealthCheckError), health.MaxText); len(text) > 0 {
		d.bodyBuf = wire.AppendBytes(d.bodyBuf, wire.HealthCheckError, text)
	}
	d.event.Body = d.bodyBuf
}

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
