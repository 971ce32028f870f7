package wire

import (
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
