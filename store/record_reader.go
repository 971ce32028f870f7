package store

import (
	"encoding/binary"
	"fmt"
	"time"
	"unicode/utf8"
)

// recordReader reads the fields of a record. After the first bad one it returns zeros.
type recordReader struct {
	rest []byte
	err  error
}

func (in *recordReader) fail(what string) {
	if in.err == nil {
		in.err = fmt.Errorf("%s, %d bytes before the end", what, len(in.rest))
	}
	in.rest = nil
}

func (in *recordReader) more() bool { return len(in.rest) > 0 }

// uint reads a number up to most.
func (in *recordReader) uint(most uint64) uint64 {
	v, n := binary.Uvarint(in.rest)
	if n <= 0 || v > most {
		in.fail("a bad number")
		return 0
	}
	in.rest = in.rest[n:]
	return v
}

func (in *recordReader) int() int64 {
	v, n := binary.Varint(in.rest)
	if n <= 0 {
		in.fail("a bad number")
		return 0
	}
	in.rest = in.rest[n:]
	return v
}

// duration reads what appendDuration wrote, up to a century.
func (in *recordReader) duration() time.Duration {
	const century = 100 * 366 * 24 * time.Hour
	return time.Duration(in.uint(uint64(century/time.Millisecond))) * time.Millisecond
}

// byteUpTo reads a byte up to most.
func (in *recordReader) byteUpTo(most byte) byte {
	if len(in.rest) == 0 || in.rest[0] > most {
		in.fail("a bad byte")
		return 0
	}
	b := in.rest[0]
	in.rest = in.rest[1:]
	return b
}

// bytes reads bytes with their length before them.
func (in *recordReader) bytes() []byte {
	size := in.uint(uint64(len(in.rest)))
	if size > uint64(len(in.rest)) {
		in.fail("a bad length")
		return nil
	}
	b := in.rest[:size:size]
	in.rest = in.rest[size:]
	return b
}

// text reads bytes that are UTF-8.
func (in *recordReader) text() []byte {
	b := in.bytes()
	if !utf8.Valid(b) {
		in.fail("a bad text")
		return nil
	}
	return b
}
