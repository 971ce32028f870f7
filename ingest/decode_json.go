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
	"github.com/microhq/monitor-srv/wire"
)

// decodeJSON decodes one message of the kind that is JSON, as protojson or as
// encoding/json writes it. Members that are not known are ignored.
func (d *decoder) decodeJSON(kind store.Kind, msg []byte) rejection {
	valid := utf8.Valid(msg)
	if valid {
		wire, ok := d.transcoders[kind].AppendWire(d.wireBuf[:0], msg)
		d.wireBuf = wire
		if ok {
			return d.decode(kind, wire)
		}
	} else {
		msg = bytes.ToValidUTF8(msg, []byte(replacement))
	}
	if whole, torn := repairSurrogates(msg); torn {
		msg, valid = whole, false
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

// wholePairs replaces escapes that are half of a surrogate pair, and reports whether
// there were any. They stand for no character, so protojson refuses the whole
// message; programs in JavaScript write them where they cut a text within one.
func repairSurrogates(msg []byte) (whole []byte, torn bool) {
	const size = 6 // of \u and four digits
	whole = msg
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
		if !torn {
			whole, torn = bytes.Clone(msg), true
		}
		copy(whole[i:], `\ufffd`)
		i += size
	}
	return whole, torn
}

// escapedUnit returns the code unit that b begins with as an escape of JSON, or -1.
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

// shapes of the messages by the kind of their events.
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
