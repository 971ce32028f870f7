package wire

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// Wire types. A tag is NUMBER<<3 | TYPE.
const (
	Varint  = uint64(protowire.VarintType)
	Fixed64 = uint64(protowire.Fixed64Type)
	Bytes   = uint64(protowire.BytesType)
)

// Field is one field of an encoded message.
type Field struct {
	// Tag is the field number, shifted left by three, and the wire type. A known
	// number with an unexpected type is an unknown field, as for proto.Unmarshal.
	Tag uint64
	// Bytes is the content of a length-delimited field. It points into the buffer
	// that was read.
	Bytes []byte
	// Value is that of a varint or a fixed64.
	Value uint64
}

// Next reads the first field of the rest of a message and takes it off the rest. It
// reports whether there was one: if not, and the rest is not empty, the message is
// malformed.
func (f *Field) Next(rest *[]byte) bool {
	n := f.Read(*rest)
	*rest = (*rest)[n:]
	return n > 0
}

// Read reads the first field of b and returns its encoded length, or 0 if it is
// malformed.
func (f *Field) Read(b []byte) int {
	// Nearly all fields have one byte for the tag and one for the length or value.
	if len(b) >= 2 && b[0] >= 1<<3 && b[0] < 0x80 && b[1] < 0x80 {
		switch tag := uint64(b[0]); tag & 7 {
		case Bytes:
			if n := 2 + int(b[1]); n <= len(b) {
				f.Tag, f.Bytes = tag, b[2:n:n]
				return n
			}
			return 0
		case Varint:
			f.Tag, f.Value = tag, uint64(b[1])
			return 2
		}
	}
	return f.readAny(b)
}

func (f *Field) readAny(b []byte) int {
	tag, n := consumeVarint(b)
	num := tag >> 3
	if n == 0 || num == 0 || num > uint64(protowire.MaxValidNumber) {
		return 0
	}
	f.Tag = tag
	rest := b[n:]
	var m int
	switch tag & 7 {
	case Varint:
		f.Value, m = consumeVarint(rest)
	case Bytes:
		var size uint64
		size, m = consumeVarint(rest)
		if m == 0 || size > uint64(len(rest)-m) {
			return 0
		}
		f.Bytes = rest[m : m+int(size) : m+int(size)]
		m += int(size)
	case Fixed64:
		if len(rest) < 8 {
			return 0
		}
		f.Value, m = binary.LittleEndian.Uint64(rest), 8
	default:
		// No known field is a group or a fixed32.
		m = max(protowire.ConsumeFieldValue(protowire.Number(num), protowire.Type(tag&7), rest), 0)
	}
	if m == 0 {
		return 0
	}
	return n + m
}

// consumeVarint returns the first varint of b and its length, or 0 if it is
// malformed.
func consumeVarint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	v, n := protowire.ConsumeVarint(b)
	return v, max(n, 0)
}

// LastBytes returns the content of the last length-delimited field of msg with the
// number, which overrides those before. It is nil if there is none.
func LastBytes(msg []byte, num protowire.Number) (content []byte) {
	var f Field
	for f.Next(&msg) {
		if f.Tag == uint64(num)<<3|Bytes {
			content = f.Bytes
		}
	}
	return content
}
