package ingest

import (
	"bytes"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/text"
	"github.com/microhq/monitor-srv/wire"
)

// decoder turns the bytes of one message into an event. The event points into the
// message and into the decoder, and is valid until the next decode.
//
// It scans the wire format without building messages, so an event that needs no
// repair, like nearly all, costs no allocation. An accepted event can be encoded in
// every answer.
type decoder struct {
	transcoders *transcoders

	event   store.Event
	repairs repairs

	nodes       int       // in the service
	node        []byte    // bytes of the first node
	hasService  bool      // the message has a service
	metadata    wire.Span // in node
	badMetadata bool      // metadata needs a repair

	bodyBuf     []byte // a repaired body
	metadataBuf []byte // repaired metadata
	entries     mapEntries
	wireBuf     []byte // an event in JSON, converted
}

// decode decodes one message in protobuf.
func (d *decoder) decode(kind store.Kind, msg []byte) rejection {
	d.reset(kind)
	var rej rejection
	switch kind {
	case store.KindCheck:
		rej = d.decodeCheck(msg)
	case store.KindStatus:
		rej = d.decodeStatus(msg)
	default:
		rej = d.decodeStats(msg)
	}
	if rej.reason != accepted {
		return rej
	}
	return d.checkIdentity()
}

func (d *decoder) reset(kind store.Kind) {
	d.event = store.Event{Kind: kind}
	d.repairs = 0
	d.nodes, d.node, d.hasService = 0, nil, false
	d.metadata, d.badMetadata = wire.Span{}, false
	d.bodyBuf, d.metadataBuf = d.bodyBuf[:0], d.metadataBuf[:0]
}

// release drops references to the message, and the buffers of a rare large one.
func (d *decoder) release() {
	const enough = 16 << 10
	d.event, d.node = store.Event{}, nil
	clear(d.entries[:cap(d.entries)])
	for _, b := range []*[]byte{&d.bodyBuf, &d.metadataBuf, &d.wireBuf} {
		if cap(*b) > enough {
			*b = nil
		}
	}
}

// readService reads a Service. Several in one message are merged, as by
// proto.Unmarshal.
func (d *decoder) readService(msg []byte) rejection {
	d.hasService = true
	var f wire.Field
	for len(msg) > 0 {
		n := f.Read(msg)
		if n == 0 {
			return rejection{malformed, "service"}
		}
		msg = msg[n:]
		switch f.Tag {
		case wire.ServiceName<<3 | wire.Bytes:
			d.event.Service = f.Bytes
		case wire.ServiceVersion<<3 | wire.Bytes:
			d.event.Version = f.Bytes
		case wire.ServiceNodes<<3 | wire.Bytes:
			// An event is about one node.
			d.nodes++
			if d.nodes > 1 {
				d.repairs.add(repairNodes)
				continue
			}
			if rej := d.readNode(f.Bytes); rej.reason != accepted {
				return rej
			}
		}
	}
	return rejection{}
}

func (d *decoder) readNode(msg []byte) rejection {
	d.node = msg
	var f wire.Field
	var seen mapScan
	for pos := 0; pos < len(msg); {
		n := f.Read(msg[pos:])
		if n == 0 {
			return rejection{malformed, "service.nodes"}
		}
		switch f.Tag {
		case wire.NodeID<<3 | wire.Bytes:
			d.event.Node = f.Bytes
		case wire.NodeAddress<<3 | wire.Bytes:
			d.event.Address = f.Bytes
		case wire.NodeMetadata<<3 | wire.Bytes:
			if !seen.add(f.Bytes) {
				return rejection{malformed, "service.nodes.metadata"}
			}
			d.metadata.Add(pos, pos+n)
		}
		pos += n
	}
	d.badMetadata = seen.needsRepair(maxMetadata) || d.metadata.Scattered
	return rejection{}
}

// checkIdentity checks the parts of the key, and sets address and metadata of the
// node.
func (d *decoder) checkIdentity() rejection {
	e := &d.event
	switch {
	case !d.hasService || len(e.Service) == 0:
		return rejection{noService, "service.name"}
	case d.nodes == 0 || len(e.Node) == 0:
		return rejection{noNode, "service.nodes"}
	case e.Kind == store.KindCheck && len(e.ID) == 0:
		return rejection{noID, "id"}
	case len(e.Service) > health.MaxServiceName || !validIdentity(e.Service):
		return rejection{badIdentity, "service.name"}
	case len(e.Version) > health.MaxVersion || !validIdentity(e.Version):
		return rejection{badIdentity, "service.version"}
	case len(e.Node) > health.MaxNodeID || !validIdentity(e.Node):
		return rejection{badIdentity, "service.nodes.id"}
	case len(e.ID) > health.MaxCheckID || !validIdentity(e.ID):
		return rejection{badIdentity, "id"}
	}
	if len(e.Address) > maxAddress || !validIdentity(e.Address) {
		d.repairs.add(repairAddress)
		e.Address = nil
	}
	e.Metadata = d.metadata.Of(d.node)
	if d.badMetadata {
		d.metadataBuf = d.rebuildMap(d.metadataBuf, d.node, wire.NodeMetadata, maxMetadata)
		e.Metadata = d.metadataBuf
	}
	return rejection{}
}

const (
	// maxAddress is the size of the longest DNS name and a port, rounded up.
	maxAddress = 272
	// maxMetadata bounds the metadata of a node: 10,000 nodes take 40 MiB at most.
	maxMetadata = 4 << 10
)

// identityReplaced reports whether a part of the key contains the replacement
// character. If bytes were replaced before decoding, two different keys may have
// become the same.
func (d *decoder) identityReplaced() bool {
	e := &d.event
	for _, b := range [][]byte{e.Service, e.Version, e.Node, e.ID} {
		if bytes.Contains(b, []byte(text.Replacement)) {
			return true
		}
	}
	return false
}
