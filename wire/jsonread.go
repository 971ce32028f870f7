package wire

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// jsonReader reads the JSON that nearly all publishers write: known members, each
// once, without null. Its methods report false for anything else, valid
// or not, which the caller then reads in another way. The text must be valid UTF-8.
type jsonReader struct {
	text []byte
	pos  int
}

// AppendWire appends the wire bytes of the message that text is in JSON. It reports
// false if text has other members or forms, or is malformed.
func (t *Transcoder) AppendWire(b, text []byte) ([]byte, bool) {
	r := &jsonReader{text: text}
	b, ok := r.object(b, t)
	r.skipSpace()
	return b, ok && r.pos == len(text)
}

func (r *jsonReader) skipSpace() {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return
		}
	}
}

// next skips space, and c if it follows. It reports whether it did.
func (r *jsonReader) next(c byte) bool {
	r.skipSpace()
	if r.pos < len(r.text) && r.text[r.pos] == c {
		r.pos++
		return true
	}
	return false
}

// each calls item for each item up to the closing character.
func (r *jsonReader) each(closing byte, item func() bool) bool {
	if r.next(closing) {
		return true
	}
	for item() {
		if r.next(closing) {
			return true
		}
		if !r.next(',') {
			return false
		}
	}
	return false
}

// str reads a string.
func (r *jsonReader) str() ([]byte, bool) {
	if !r.next('"') {
		return nil, false
	}
	start := r.pos
	for i, c := range r.text[start:] {
		switch {
		case c == '"':
			r.pos = start + i + 1
			return r.text[start : start+i], true
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return nil, false
		}
	}
	return nil, false
}

// name reads the name of a member, with the colon.
func (r *jsonReader) name() ([]byte, bool) {
	s, ok := r.str()
	return s, ok && r.next(':')
}

// integer reads an integer with at most maxDigits digits, quoted or not.
func (r *jsonReader) integer(maxDigits int) (v int64, ok bool) {
	quoted := r.next('"')
	t := r.text[r.pos:]
	negative := len(t) > 0 && t[0] == '-'
	if negative {
		t = t[1:]
	}
	n := digits(t)
	if n == 0 || n > maxDigits || (t[0] == '0' && (n > 1 || negative)) {
		return 0, false
	}
	for _, c := range t[:n] {
		v = v*10 + int64(c-'0')
	}
	r.pos = len(r.text) - len(t) + n
	if negative {
		v = -v
	}
	if !quoted {
		return v, true
	}
	r.pos++
	return v, n < len(t) && t[n] == '"'
}

// maxPlainDigits is the size of an integer that needs no thought: a unix time with more
// digits is not in seconds.
const maxPlainDigits = 11

// enum reads the number or the name of a known value of an enum.
func (r *jsonReader) enum(fi *fieldInfo) (v int64, ok bool) {
	if r.pos < len(r.text) && r.text[r.pos] != '"' {
		v, ok = r.integer(9)
		return v, ok && slices.Contains(fi.numbers, v)
	}
	name, ok := r.str()
	if !ok {
		return 0, false
	}
	n, ok := fi.values[string(name)]
	return int64(n), ok
}

// double reads a number.
func (r *jsonReader) double() (float64, bool) {
	r.skipSpace()
	start := r.pos
	for r.pos < len(r.text) && bytes.IndexByte([]byte("+-.0123456789Ee"), r.text[r.pos]) >= 0 {
		r.pos++
	}
	token := r.text[start:r.pos]
	if !isNumber(token) {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(token), 64)
	return v, err == nil
}

// isNumber reports whether t is a JSON number. ParseFloat accepts more.
func isNumber(t []byte) bool {
	if len(t) > 0 && t[0] == '-' {
		t = t[1:]
	}
	n := digits(t)
	if n == 0 || (n > 1 && t[0] == '0') {
		return false
	}
	t = t[n:]
	if len(t) > 0 && t[0] == '.' {
		if n = digits(t[1:]); n == 0 {
			return false
		}
		t = t[1+n:]
	}
	if len(t) > 0 && (t[0] == 'e' || t[0] == 'E') {
		t = t[1:]
		if len(t) > 0 && (t[0] == '+' || t[0] == '-') {
			t = t[1:]
		}
		n = digits(t)
		return n > 0 && n == len(t)
	}
	return len(t) == 0
}

// digits returns how many digits t begins with.
func digits(t []byte) int {
	n := 0
	for n < len(t) && t[n] >= '0' && t[n] <= '9' {
		n++
	}
	return n
}

// object reads a message.
func (r *jsonReader) object(b []byte, t *Transcoder) ([]byte, bool) {
	if !r.next('{') {
		return b, false
	}
	var seen uint32
	at := 0
	ok := r.each('}', func() bool {
		name, ok := r.name()
		if !ok {
			return false
		}
		at = t.find(name, at)
		if at < 0 || seen&(1<<at) != 0 {
			return false
		}
		seen |= 1 << at
		fi := &t.fields[at]
		switch {
		case fi.kind == kindMap:
			b, ok = r.mapEntries(b, fi)
		case fi.list:
			b, ok = r.list(b, fi)
		default:
			b, ok = r.value(b, fi)
		}
		return ok
	})
	return b, ok
}

// find returns the index of the field with the name, or -1. It begins at index
// at, because members are mostly in order.
func (t *Transcoder) find(name []byte, at int) int {
	n := len(t.fields)
	for i := range n {
		k := (at + i) % n
		if fi := &t.fields[k]; string(name) == fi.name || string(name) == fi.jsonName {
			return k
		}
	}
	return -1
}

func (r *jsonReader) list(b []byte, fi *fieldInfo) ([]byte, bool) {
	if !r.next('[') {
		return b, false
	}
	ok := r.each(']', func() (ok bool) {
		b, ok = r.value(b, fi)
		return ok
	})
	return b, ok
}

// mapEntries reads a map. It reports false if there are more than a few entries:
// repeated keys are then found faster with a map.
func (r *jsonReader) mapEntries(b []byte, fi *fieldInfo) ([]byte, bool) {
	if !r.next('{') {
		return b, false
	}
	var few [32][]byte
	keys := few[:0]
	ok := r.each('}', func() bool {
		key, ok := r.name()
		if !ok || len(keys) == len(few) {
			return false
		}
		for _, k := range keys {
			if bytes.Equal(k, key) {
				return false
			}
		}
		keys = append(keys, key)
		value, ok := r.str()
		if !ok {
			return false
		}
		b = AppendMapEntry(b, protowire.Number(fi.number), key, value)
		return true
	})
	return b, ok
}

// value reads one value of a field that is not a map.
func (r *jsonReader) value(b []byte, fi *fieldInfo) ([]byte, bool) {
	var v int64
	var text []byte
	var ok bool
	switch fi.kind {
	case kindString:
		text, ok = r.str()
		return AppendBytes(b, protowire.Number(fi.number), text), ok
	case kindMessage:
		b = protowire.AppendVarint(b, fi.tag())
		start := len(b)
		b, ok = r.object(b, fi.message)
		return insertLength(b, start), ok
	case kindDouble:
		var f float64
		f, ok = r.double()
		b = protowire.AppendVarint(b, fi.tag())
		return protowire.AppendFixed64(b, math.Float64bits(f)), ok
	case kindInt:
		v, ok = r.integer(maxPlainDigits)
	case kindUint:
		v, ok = r.integer(18)
		ok = ok && v >= 0
	case kindEnum:
		r.skipSpace()
		v, ok = r.enum(fi)
	}
	b = protowire.AppendVarint(b, fi.tag())
	return protowire.AppendVarint(b, uint64(v)), ok
}
