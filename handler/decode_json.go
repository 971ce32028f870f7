package handler

import (
	"bytes"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

// decodeJSON decodes one message of the kind that is JSON, as protojson or as
// encoding/json writes it. Members that are not known are ignored.
func (d *decoder) decodeJSON(kind store.Kind, msg []byte) rejection {
	valid := utf8.Valid(msg)
	if valid {
		wire, ok := d.shapes[kind].fromJSON(d.wire[:0], msg)
		d.wire = wire
		if ok {
			return d.decode(kind, wire)
		}
	} else {
		msg = bytes.ToValidUTF8(msg, []byte(replacement))
	}
	m := newMessage(kind)
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(msg, m); err != nil {
		return rejection{malformed, err.Error()}
	}
	wire, err := proto.MarshalOptions{}.MarshalAppend(d.wire[:0], m)
	if err != nil {
		return rejection{malformed, err.Error()}
	}
	d.wire = wire
	rej := d.decode(kind, wire)
	if valid || rej.reason != accepted {
		return rej
	}
	d.repairs.add(repairUTF8)
	if d.mended() {
		return rejection{badIdentity, "invalid UTF-8"}
	}
	return rejection{}
}

// shapes of the messages by the kind of their events.
type shapes [len(topics)]*shape

func newShapes() *shapes {
	all := new(shapes)
	for kind := range all {
		all[kind] = shapeOf(newMessage(store.Kind(kind)).ProtoReflect().Descriptor())
	}
	return all
}

func newMessage(kind store.Kind) proto.Message {
	switch kind {
	case store.KindCheck:
		return new(healthpb.HealthCheck)
	case store.KindStatus:
		return new(healthpb.Status)
	default:
		return new(healthpb.Stats)
	}
}
