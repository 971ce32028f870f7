package store

import (
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/wire"
)

// none is the number of no field.
const none = 0

// validBody reports whether b is a body of events of a kind, see Event.Body.
func validBody(kind Kind, b []byte) bool {
	switch kind {
	case KindCheck:
		return validTexts(b, wire.HealthCheckResults, wire.HealthCheckError)
	case KindStatus:
		return validTexts(b, none, wire.StatusInfo)
	}
	var f wire.Field
	for rest := b; len(rest) > 0; {
		if !f.Next(&rest) || f.Tag&7 != wire.Bytes || f.Tag>>3 < wire.StatsCPU || f.Tag>>3 > wire.StatsEndpoints {
			return false
		}
	}
	return proto.Unmarshal(b, &healthpb.Stats{}) == nil
}

// validTexts reports whether b consists of fields of two numbers only: entries of a map of
// texts, and texts. It costs a tenth of decoding the message.
func validTexts(b []byte, entry, text uint64) bool {
	var f wire.Field
	for len(b) > 0 {
		if !f.Next(&b) {
			return false
		}
		switch f.Tag {
		case entry<<3 | wire.Bytes:
			if !validEntry(f.Bytes) {
				return false
			}
		case text<<3 | wire.Bytes:
			if !utf8.Valid(f.Bytes) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// validEntry reports whether b is an entry of a map of texts.
func validEntry(b []byte) bool {
	if wire.IsShortEntry(b) {
		return utf8.Valid(b)
	}
	var f wire.Field
	for len(b) > 0 {
		if !f.Next(&b) || f.Tag != wire.MapKey<<3|wire.Bytes && f.Tag != wire.MapValue<<3|wire.Bytes || !utf8.Valid(f.Bytes) {
			return false
		}
	}
	return true
}
