package handler

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// Wire types, short enough to be combined with a field number.
const (
	varintType  = uint64(protowire.VarintType)
	fixed64Type = uint64(protowire.Fixed64Type)
	bytesType   = uint64(protowire.BytesType)
)

// field is one field of a message as it stands on the wire.
type field struct {
	// tag is the number, shifted left by three, and the wire type. A known number
	// with a type that is not its own is an unknown field, as for proto.Unmarshal.
	tag uint64
	// bytes of a length-delimited field, in the buffer that was read.
	bytes []byte
	// val of a varint, a fixed32 or a fixed64.
	val uint64
}

// read reads the field that b begins with, and returns its length with the tag,
// or 0 if it is not well-formed.
func (f *field) read(b []byte) int {
	// Nearly all fields have one byte for the tag and one for the length or value.
	if len(b) >= 2 && b[0] >= 1<<3 && b[0] < 0x80 && b[1] < 0x80 {
		switch tag := uint64(b[0]); tag & 7 {
		case bytesType:
			if n := 2 + int(b[1]); n <= len(b) {
				f.tag, f.bytes = tag, b[2:n:n]
				return n
			}
			return 0
		case varintType:
			f.tag, f.val = tag, uint64(b[1])
			return 2
		}
	}
	return f.readAny(b)
}

func (f *field) readAny(b []byte) int {
	tag, n := consumeVarint(b)
	num := tag >> 3
	if n == 0 || num == 0 || num > uint64(protowire.MaxValidNumber) {
		return 0
	}
	f.tag = tag
	rest := b[n:]
	var m int
	switch tag & 7 {
	case varintType:
		f.val, m = consumeVarint(rest)
	case bytesType:
		var size uint64
		size, m = consumeVarint(rest)
		if m == 0 || size > uint64(len(rest)-m) {
			return 0
		}
		f.bytes = rest[m : m+int(size) : m+int(size)]
		m += int(size)
	case fixed64Type:
		if len(rest) < 8 {
			return 0
		}
		f.val, m = binary.LittleEndian.Uint64(rest), 8
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

// appendBytes appends a length-delimited field.
func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

// appendUint appends a varint field unless it is zero.
func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

// appendMessage appends a length-delimited field whose content is what fill
// appends.
func appendMessage(b []byte, num protowire.Number, fill func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	start := len(b)
	return endMessage(fill(b), start)
}

// endMessage puts the length before the content of a field, which begins at
// start and ends with b.
func endMessage(b []byte, start int) []byte {
	size := len(b) - start
	n := protowire.SizeVarint(uint64(size))
	b = append(b, make([]byte, n)...)
	copy(b[start+n:], b[start:start+size])
	protowire.AppendVarint(b[:start], uint64(size))
	return b
}

// span is the stretch of a message that holds the fields added to it, if they
// stand side by side. Its zero value is empty.
type span struct {
	start, end int
	broken     bool // they do not stand side by side
}

func (s *span) add(from, to int) {
	if s.end == 0 {
		s.start = from
	} else if s.end != from {
		s.broken = true
	}
	s.end = to
}

func (s *span) of(b []byte) []byte { return b[s.start:s.end:s.end] }
