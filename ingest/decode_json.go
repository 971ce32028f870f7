package ingest

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/text"
	"github.com/microhq/monitor-srv/wire"
)

// decodeJSON decodes one message in JSON, as protojson or encoding/json write it.
// Unknown members are ignored.
func (d *decoder) decodeJSON(kind store.Kind, msg []byte) rejection {
	valid := utf8.Valid(msg)
	if valid {
		wire, ok := d.transcoders[kind].AppendWire(d.wireBuf[:0], msg)
		d.wireBuf = wire
		if ok {
			return d.decode(kind, wire)
		}
	} else {
		msg = bytes.ToValidUTF8(msg, []byte(text.Replacement))
	}
	if repaired, replaced := repairSurrogates(msg); replaced {
		msg, valid = repaired, false
	}
	m := newMessage(kind)
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(msg, m); err != nil {
		return rejection{malformed, err.Error()}
	}
	wire, err := proto.MarshalOptions{}.MarshalAppend(d.wireBuf[:0], m)
	if err != nil {
		return rejection{malformed, err.Error()}
	}
	d.wireBuf = wire
	rej := d.decode(kind, wire)
	if valid || rej.reason != accepted {
		return rej
	}
	d.repairs.add(repairUTF8)
	if d.identityReplaced() {
		return rejection{badIdentity, "invalid UTF-8"}
	}
	return rejection{}
}

// repairSurrogates replaces escapes that are half of a surrogate pair, and reports
// whether there were any. protojson refuses a message that has one. JavaScript
// programs write them when they cut a text within a pair.
func repairSurrogates(msg []byte) (repaired []byte, replaced bool) {
	const size = 6 // of \u and four digits
	repaired = msg
	for i := 0; i < len(msg); {
		if msg[i] != '\\' {
			i++
			continue
		}
		switch unit := escapedUnit(msg[i:]); {
		case !utf16.IsSurrogate(unit):
			i += 2 // also over an escaped backslash
			continue
		case utf16.DecodeRune(unit, escapedUnit(msg[i+size:])) != utf8.RuneError:
			i += 2 * size
			continue
		}
		if !replaced {
			repaired, replaced = bytes.Clone(msg), true
		}
		copy(repaired[i:], `\ufffd`)
		i += size
	}
	return repaired, replaced
}

// escapedUnit returns the UTF-16 code unit of the JSON escape that b begins with, or
// -1 if there is none.
func escapedUnit(b []byte) rune {
	const size = 6 // of \u and four digits
	if len(b) < size || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(b[2:size]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// transcoders of the messages, by kind of event.
type transcoders [len(topics)]*wire.Transcoder

func newTranscoders() *transcoders {
	all := new(transcoders)
	for kind := range all {
		all[kind] = wire.NewTranscoder(newMessage(store.Kind(kind)).ProtoReflect().Descriptor())
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
