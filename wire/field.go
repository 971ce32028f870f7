package wire

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// Wire types, short enough to be combined with a field number.
const (
	Varint  = uint64(protowire.VarintType)
	Fixed64 = uint64(protowire.Fixed64Type)
	Bytes   = uint64(protowire.BytesType)
)

// field is one field of a message as it stands on the wire.
type Field struct {
	// tag is the number, shifted left by three, and the wire type. A known number
	// with a type that is not its own is an unknown field, as for proto.Unmarshal.
	Tag uint64
	// bytes of a length-delimited field, in the buffer that was read.
	Bytes []byte
	// val of a varint, a fixed32 or a fixed64.
	Value uint64
}

// read reads the field that b begins with, and returns its length with the tag,
// or 0 if it is not well-formed.
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
		// Groups, fixed32 and what is no type at all: none is known here.
		m = max(protowire.ConsumeFieldValue(protowire.Number(num), protowire.Type(tag&7), rest), 0)
	}
	if m == 0 {
		return 0
	}
	return n + m
}

// consumeVarint returns the varint that b begins with, and its length or 0.
func consumeVarint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	v, n := protowire.ConsumeVarint(b)
	return v, max(n, 0)
}
