package ingest

import (
	"bytes"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/text"
	"github.com/microhq/monitor-srv/wire"
)

// decodeJSON decodes one message in JSON. What nearly all publishers write is read
// without building a message, anything else as scripts mean it.
func (d *decoder) decodeJSON(kind store.Kind, msg []byte) rejection {
	msg = bytes.TrimPrefix(msg, []byte(byteOrderMark))
	valid := utf8.Valid(msg)
	if valid {
		wire, ok := d.transcoders[kind].AppendWire(d.wireBuf[:0], msg)
		d.wireBuf = wire
		if ok {
			return d.decode(kind, wire)
		}
	}
	m := newMessage(kind)
	if rej := readEvent(m.ProtoReflect(), quoteNonFinite(msg)); rej.reason != accepted {
		d.identify(m)
		return rej
	}
	wire, err := proto.MarshalOptions{}.MarshalAppend(d.wireBuf[:0], m)
	if err != nil {
		return rejection{malformed, err.Error()}
	}
	d.wireBuf = wire
	rej := d.decode(kind, wire)
	if valid && text.HalfSurrogate(msg) < 0 || rej.reason != accepted {
		return rej
	}
	d.repairs.add(repairUTF8)
	if d.identityReplaced() {
		return rejection{badIdentity, "invalid UTF-8"}
	}
	return rejection{}
}

const byteOrderMark = "\xef\xbb\xbf"

// identify sets service and node of the event to those of a rejected message, for the
// log.
func (d *decoder) identify(m proto.Message) {
	service := m.(interface{ GetService() *healthpb.Service }).GetService()
	d.event.Service = []byte(service.GetName())
	for _, node := range service.GetNodes() {
		d.event.Node = []byte(node.GetId())
	}
}

// quoteNonFinite quotes the numbers NaN, Infinity and -Infinity, which Python writes and
// JSON does not have.
func quoteNonFinite(msg []byte) []byte {
	if !bytes.Contains(msg, []byte("NaN")) && !bytes.Contains(msg, []byte("Infinity")) {
		return msg
	}
	var b []byte
	quoted := false
	for i := 0; i < len(msg); i++ {
		rest := msg[i:]
		switch {
		case quoted && msg[i] == '\\' && len(rest) > 1:
			b = append(b, msg[i])
			i++
		case msg[i] == '"':
			quoted = !quoted
		case !quoted:
			if word := nonFinite(rest); word != "" {
				b = append(append(append(b, '"'), word...), '"')
				i += len(word) - 1
				continue
			}
		}
		b = append(b, msg[i])
	}
	return b
}

// nonFinite returns the number that b begins with if it is one that JSON does not have.
func nonFinite(b []byte) string {
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(b, []byte(word)) {
			return word
		}
	}
	return ""
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
