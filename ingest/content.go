package ingest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
)

// format is the encoding of an event.
type format uint8

const (
	formatNone format = iota
	formatProto
	formatJSON
)

// contentTypes are those that publishers have used since 2016: all that go-micro's clients
// can be told to send. An event in the codecs of RPC and gRPC is the bare message.
var contentTypes = [...]struct {
	name   string
	format format
}{
	{"application/protobuf", formatProto},
	{"application/json", formatJSON},
	{"application/grpc+proto", formatProto},
	{"application/octet-stream", formatProto},
	{"application/x-protobuf", formatProto},
	{"text/json", formatJSON},
	{"application/proto-rpc", formatProto},
	{"application/json-rpc", formatJSON},
	{"application/proto", formatProto},
	{"application/grpc", formatProto},
	{"application/grpc+json", formatJSON},
}

// formatOf returns the format that the content type in the header names, or
// formatNone if it names another one. Without a content type the body decides.
func formatOf(header map[string]string, body []byte) format {
	ct := contentType(header)
	if ct == "" {
		return formatOfBody(body)
	}
	ct, _, _ = strings.Cut(ct, ";")
	ct = strings.TrimSpace(ct)
	for _, c := range contentTypes {
		if strings.EqualFold(ct, c.name) {
			return c.format
		}
	}
	return formatNone
}

// formatOfBody tells JSON from protobuf, in which "{" would begin a group with number 15,
// which no event has. A space, a newline or a byte order mark before it may also begin
// protobuf.
func formatOfBody(body []byte) format {
	text := bytes.TrimSpace(bytes.TrimPrefix(body, []byte(byteOrderMark)))
	if first(text) == '{' && (body[0] == '{' || json.Valid(quoteNonFinite(text))) {
		return formatJSON
	}
	return formatProto
}

// contentType returns the header Content-Type, whatever the case of its name.
func contentType(header map[string]string) string {
	const name = "Content-Type"
	if ct := header[name]; ct != "" {
		return ct
	}
	for k, v := range header {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// stripGRPCFrame removes the prefix that go-micro's gRPC codec writes before a
// message: a zero byte, which no message begins with, and the length.
func stripGRPCFrame(body []byte) []byte {
	const frame = 5
	if len(body) >= frame && body[0] == 0 &&
		uint64(binary.BigEndian.Uint32(body[1:])) == uint64(len(body)-frame) {
		return body[frame:]
	}
	return body
}
