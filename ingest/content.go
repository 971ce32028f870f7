package ingest

import (
	"encoding/binary"
	"strings"
)

// format tells how an event is encoded.
type format uint8

const (
	formatNone format = iota
	formatProto
	formatJSON
)

// contentTypes are those that publishers of 2016 to today use.
var contentTypes = [...]struct {
	name   string
	format format
}{
	{"application/protobuf", formatProto},
	{"application/json", formatJSON},
	{"application/grpc+proto", formatProto},
	{"application/octet-stream", formatProto},
}

// formatOf tells the format by the content type in the header, and if there is
// none by the first byte. It is formatNone if the content type is another one.
func formatOf(header map[string]string, body []byte) format {
	ct := contentType(header)
	if ct == "" {
		// An event in protobuf never begins with a group of number 15.
		if len(body) > 0 && body[0] == '{' {
			return formatJSON
		}
		return formatProto
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

// contentType returns the value of the header Content-Type, in any case.
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

// unframe takes off the frame that go-micro's gRPC codec puts around a message:
// a zero byte, which no message begins with, and the length.
func stripGRPCFrame(body []byte) []byte {
	const frame = 5
	if len(body) >= frame && body[0] == 0 &&
		uint64(binary.BigEndian.Uint32(body[1:])) == uint64(len(body)-frame) {
		return body[frame:]
	}
	return body
}
