package wire

import (
	"bytes"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// jsonReader reads JSON that is as nearly all publishers write it: members that
// are known, each once, without escapes and null. Its methods report false for
// anything else, right or wrong, which is then for protojson to judge. The text
// must be valid UTF-8.
type jsonReader struct {
	text []byte
	pos  int
}

// fromJSON appends the wire bytes of the message that text says to wire.
func (s *Transcoder) AppendWire(wire, text []byte) ([]byte, bool) {
	r := &jsonReader{text: text}
	wire, ok := r.object(wire, s)
	r.space()
	return wire, ok && r.pos == len(text)
}

func (r *jsonReader) space() {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return
		}
	}
}

// next skips space and reports whether c follows, which it then skips too.
func (r *jsonReader) next(c byte) bool {
	r.space()
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
		case c == '\\' || c < ' ':
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

// integer reads an integer of at most so many digits, quoted or not.
func (r *jsonReader) integer(most int) (v int64, ok bool) {
	quoted := r.next('"')
	t := r.text[r.pos:]
	negative := len(t) > 0 && t[0] == '-'
	if negative {
		t = t[1:]
	}
	n := digits(t)
	if n == 0 || n > most || (t[0] == '0' && (n > 1 || negative)) {
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

// enum reads the number or the name of a value of an enum.
func (r *jsonReader) enum(m *fieldInfo) (v int64, ok bool) {
	if r.pos < len(r.text) && r.text[r.pos] != '"' {
		return r.integer(9)
	}
	name, ok := r.str()
	if !ok {
		return 0, false
	}
	n, ok := m.values[string(name)]
	return int64(n), ok
}

// double reads a number.
func (r *jsonReader) double() (float64, bool) {
	r.space()
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

// isNumber reports whether t is a number of JSON, of which ParseFloat takes more.
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

// digits returns with how many digits t begins.
func digits(t []byte) int {
	n := 0
	for n < len(t) && t[n] >= '0' && t[n] <= '9' {
		n++
	}
	return n
}

// object reads a message.
func (r *jsonReader) object(wire []byte, s *Transcoder) ([]byte, bool) {
	if !r.next('{') {
		return wire, false
	}
	var seen uint32
	at := 0
	ok := r.each('}', func() bool {
		name, ok := r.name()
		if !ok {
			return false
		}
		at = s.find(name, at)
		if at < 0 || seen&(1<<at) != 0 {
			return false
		}
		seen |= 1 << at
		m := &s.fields[at]
		switch {
		case m.kind == kindMap:
			wire, ok = r.pairs(wire, m)
		case m.list:
			wire, ok = r.list(wire, m)
		default:
			wire, ok = r.value(wire, m)
		}
		return ok
	})
	return wire, ok
}

// find returns the index of the member of that name, or -1. It looks behind at
// first, because members mostly come in order.
func (s *Transcoder) find(name []byte, at int) int {
	n := len(s.fields)
	for i := range n {
		k := (at + i) % n
		if m := &s.fields[k]; string(name) == m.name || string(name) == m.jsonName {
			return k
		}
	}
	return -1
}

func (r *jsonReader) list(wire []byte, m *fieldInfo) ([]byte, bool) {
	if !r.next('[') {
		return wire, false
	}
	ok := r.each(']', func() (ok bool) {
		wire, ok = r.value(wire, m)
		return ok
	})
	return wire, ok
}

// pairs reads a map. One of more than a few pairs is left to protojson, which
// finds repeated keys faster.
func (r *jsonReader) pairs(wire []byte, m *fieldInfo) ([]byte, bool) {
	if !r.next('{') {
		return wire, false
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
		wire = protowire.AppendTag(wire, protowire.Number(m.number), protowire.BytesType)
		start := len(wire)
		wire = endMessage(AppendBytes(AppendBytes(wire, 1, key), 2, value), start)
		return true
	})
	return wire, ok
}

// value reads one value of a member that is not a map.
func (r *jsonReader) value(wire []byte, m *fieldInfo) ([]byte, bool) {
	var v int64
	var text []byte
	var ok bool
	switch m.kind {
	case kindString:
		text, ok = r.str()
		return AppendBytes(wire, protowire.Number(m.number), text), ok
	case kindMessage:
		wire = protowire.AppendVarint(wire, m.tag())
		start := len(wire)
		wire, ok = r.object(wire, m.child)
		return endMessage(wire, start), ok
	case kindDouble:
		var f float64
		f, ok = r.double()
		wire = protowire.AppendVarint(wire, m.tag())
		return protowire.AppendFixed64(wire, math.Float64bits(f)), ok
	case kindInt:
		v, ok = r.integer(18)
	case kindUint:
		v, ok = r.integer(18)
		ok = ok && v >= 0
	case kindEnum:
		r.space()
		v, ok = r.enum(m)
	}
	wire = protowire.AppendVarint(wire, m.tag())
	return protowire.AppendVarint(wire, uint64(v)), ok
}
