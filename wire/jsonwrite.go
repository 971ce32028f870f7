package wire

import (
	"bytes"
	"math"
	"slices"
	"strconv"
)

// found is where the fields of one member stand in a message.
type occurrences struct {
	start, end int32 // from the first to behind the last
	count      int32
	size       int32  // of the content of the last, which ends at end
	val        uint64 // of the last
}

// append appends a message as JSON. It reports false if the bytes are not
// well-formed or hold a message in several pieces.
func (s *Transcoder) AppendJSON(b, msg []byte) ([]byte, bool) {
	if s == nil || len(msg) > math.MaxInt32 {
		return b, false
	}
	var all [maxFields]occurrences
	var f Field
	for pos := 0; pos < len(msg); {
		n := f.Read(msg[pos:])
		if n == 0 {
			return b, false
		}
		if num := f.Tag >> 3; num <= maxNumber && s.index[num] >= 0 {
			i := s.index[num]
			if f.Tag == s.fields[i].tag() {
				all[i].add(&f, pos, n)
			}
		}
		pos += n
	}
	b = append(b, '{')
	empty := len(b)
	for i := range s.fields {
		at := &all[i]
		if at.count == 0 {
			continue
		}
		m := &s.fields[i]
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

func (a *occurrences) add(f *Field, pos, n int) {
	if a.count == 0 {
		a.start = int32(pos)
	}
	a.end = int32(pos + n)
	a.count++
	if a.val = f.Value; f.Tag&7 == Bytes {
		a.size = int32(len(f.Bytes))
	}
}

// append appends a member unless it is zero, after a comma if it is not the
// first.
func (m *fieldInfo) append(b, stretch []byte, at *occurrences, comma bool) ([]byte, bool) {
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

func (m *fieldInfo) appendValue(b, content []byte, val uint64) ([]byte, bool) {
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
	return m.child.AppendJSON(b, content)
}

// appendList appends the values of a list, which stand in stretch.
func (m *fieldInfo) appendList(b, stretch []byte) ([]byte, bool) {
	b = append(b, '[')
	ok, first := true, true
	var f Field
	for len(stretch) > 0 && ok {
		stretch = stretch[f.Read(stretch):]
		if f.Tag != m.tag() {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b, ok = m.appendValue(b, f.Bytes, f.Value)
	}
	return append(b, ']'), ok
}

// appendMap appends the pairs of a map, which stand in stretch, by key. Of pairs
// with the same key the last one counts.
func (m *fieldInfo) appendMap(b, stretch []byte, count int) ([]byte, bool) {
	var few [16]MapEntry
	all := few[:0]
	if count > len(few) {
		all = make([]MapEntry, 0, count)
	}
	var f Field
	for len(stretch) > 0 {
		stretch = stretch[f.Read(stretch):]
		if f.Tag != m.tag() {
			continue
		}
		p, ok := readMapEntry(f.Bytes)
		if !ok {
			return b, false
		}
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(x, y MapEntry) int { return bytes.Compare(x.Key, y.Key) })
	b = append(b, '{')
	empty := len(b)
	for i, p := range all {
		if i+1 < len(all) && bytes.Equal(p.Key, all[i+1].Key) {
			continue
		}
		if len(b) > empty {
			b = append(b, ',')
		}
		b = append(appendString(b, p.Key), ':')
		b = appendString(b, p.Value)
	}
	return append(b, '}'), true
}
