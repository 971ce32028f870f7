package handler

import (
	"bytes"
	"math"
	"slices"
	"strconv"
)

// found is where the fields of one member stand in a message.
type found struct {
	start, end int32 // from the first to behind the last
	count      int32
	size       int32  // of the content of the last, which ends at end
	val        uint64 // of the last
}

// append appends a message as JSON. It reports false if the bytes are not
// well-formed or hold a message in several pieces.
func (s *shape) append(b, msg []byte) ([]byte, bool) {
	if s == nil || len(msg) > math.MaxInt32 {
		return b, false
	}
	var all [maxMembers]found
	var f field
	for pos := 0; pos < len(msg); {
		n := f.read(msg[pos:])
		if n == 0 {
			return b, false
		}
		if num := f.tag >> 3; num <= maxNumber && s.index[num] >= 0 {
			i := s.index[num]
			if f.tag == s.members[i].tag() {
				all[i].add(&f, pos, n)
			}
		}
		pos += n
	}
	b = append(b, '{')
	empty := len(b)
	for i := range s.members {
		at := &all[i]
		if at.count == 0 {
			continue
		}
		m := &s.members[i]
		if m.kind == kindMessage && !m.list && at.count > 1 {
			return b, false
		}
		var ok bool
		if b, ok = m.append(b, msg[at.start:at.end], at, len(b) > empty); !ok {
			return b, false
		}
	}
	return append(b, '}'), true
}

func (a *found) add(f *field, pos, n int) {
	if a.count == 0 {
		a.start = int32(pos)
	}
	a.end = int32(pos + n)
	a.count++
	if a.val = f.val; f.tag&7 == bytesType {
		a.size = int32(len(f.bytes))
	}
}

// append appends a member unless it is zero, after a comma if it is not the
// first.
func (m *member) append(b, stretch []byte, at *found, comma bool) ([]byte, bool) {
	zero := at.val == 0
	switch {
	case m.kind == kindString:
		zero = at.size == 0
	case m.kind == kindEnum:
		zero = int32(at.val) == 0
	case m.kind == kindDouble:
		zero = math.Float64frombits(at.val) == 0
	case m.kind == kindMessage || m.kind == kindMap:
		zero = false
	}
	if zero && !m.list {
		return b, true
	}
	if comma {
		b = append(b, ',')
	}
	b = append(b, m.key...)
	switch {
	case m.kind == kindMap:
		return m.appendMap(b, stretch, int(at.count))
	case m.list:
		return m.appendList(b, stretch)
	}
	return m.appendValue(b, stretch[len(stretch)-int(at.size):], at.val)
}

func (m *member) appendValue(b, content []byte, val uint64) ([]byte, bool) {
	switch m.kind {
	case kindString:
		return appendString(b, content), true
	case kindInt:
		return strconv.AppendInt(b, int64(val), 10), true
	case kindUint:
		return strconv.AppendUint(b, val, 10), true
	case kindEnum:
		return strconv.AppendInt(b, int64(int32(val)), 10), true
	case kindBool:
		return append(b, "true"...), true
	case kindDouble:
		return appendFloat(b, math.Float64frombits(val))
	}
	return m.child.append(b, content)
}

// appendList appends the values of a list, which stand in stretch.
func (m *member) appendList(b, stretch []byte) ([]byte, bool) {
	b = append(b, '[')
	ok, first := true, true
	var f field
	for len(stretch) > 0 && ok {
		stretch = stretch[f.read(stretch):]
		if f.tag != m.tag() {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b, ok = m.appendValue(b, f.bytes, f.val)
	}
	return append(b, ']'), ok
}

// appendMap appends the pairs of a map, which stand in stretch, by key. Of pairs
// with the same key the last one counts.
func (m *member) appendMap(b, stretch []byte, count int) ([]byte, bool) {
	var few [16]pair
	all := few[:0]
	if count > len(few) {
		all = make([]pair, 0, count)
	}
	var f field
	for len(stretch) > 0 {
		stretch = stretch[f.read(stretch):]
		if f.tag != m.tag() {
			continue
		}
		p, ok := readPair(f.bytes)
		if !ok {
			return b, false
		}
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(x, y pair) int { return bytes.Compare(x.key, y.key) })
	b = append(b, '{')
	empty := len(b)
	for i, p := range all {
		if i+1 < len(all) && bytes.Equal(p.key, all[i+1].key) {
			continue
		}
		if len(b) > empty {
			b = append(b, ',')
		}
		b = append(appendString(b, p.key), ':')
		b = appendString(b, p.value)
	}
	return append(b, '}'), true
}

// readPair reads one entry of a map.
func readPair(entry []byte) (p pair, ok bool) {
	var f field
	for len(entry) > 0 {
		n := f.read(entry)
		if n == 0 {
			return p, false
		}
		entry = entry[n:]
		switch f.tag {
		case 1<<3 | bytesType:
			p.key = f.bytes
		case 2<<3 | bytesType:
			p.value = f.bytes
		}
	}
	return p, true
}
