package wire

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// kind of an event.
type kind uint8

const (
	kindOfCheck kind = iota
	kindOfStatus
	kindOfStats
)

var kinds = []kind{kindOfCheck, kindOfStatus, kindOfStats}

func newMessage(k kind) proto.Message {
	switch k {
	case kindOfCheck:
		return new(healthpb.HealthCheck)
	case kindOfStatus:
		return new(healthpb.Status)
	default:
		return new(healthpb.Stats)
	}
}

// transcoders returns one for the message of each kind.
func transcoders() map[kind]*Transcoder {
	all := make(map[kind]*Transcoder)
	for _, k := range kinds {
		all[k] = NewTranscoder(newMessage(k).ProtoReflect().Descriptor())
	}
	return all
}

// identity builds a HealthCheck with the given parts of its key.
func identityOf(service, version, node, id string) []byte {
	var n, s, b []byte
	n = protowire.AppendString(protowire.AppendTag(n, 1, protowire.BytesType), node)
	s = AppendBytes(s, 1, []byte(service))
	s = AppendBytes(s, 2, []byte(version))
	s = AppendBytes(s, 3, n)
	b = AppendBytes(b, 1, []byte(id))
	return AppendBytes(b, 6, s)
}
