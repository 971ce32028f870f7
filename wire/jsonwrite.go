package wire

import (
	"bytes"
	"math"
	"slices"
	"strconv"
)

// occurrences says where one field is in a message.
type occurrences struct {
	start, end int32 // from the first occurrence to behind the last
	count      int32
	size       int32  // of the content of the last, which ends at end
	value      uint64 // of the last
}

// AppendJSON appends the message msg as JSON. It reports false if msg is malformed
// or contains a message field in several pieces.
func (t *Transcoder) AppendJSON(b, msg []byte) ([]byte, bool) {
	if t == nil || len(msg) > math.MaxInt32 {
		return b, false
	}
	var all [maxFields]occurrences
	var f Field
	for pos := 0; pos < len(msg); {
		n := f.Read(msg[pos:])
		if n == 0 {
			return b, false
		}
		if num := f.Tag >> 3; num <= maxNumber && t.index[num] >= 0 {
			i := t.index[num]
			if f.Tag == t.fields[i].tag() {
				all[i].add(&f, pos, n)
			}
		}
		pos += n
	}
	b = append(b, '{')
	empty := len(b)
	for i := range t.fields {
		o := &all[i]
		if o.count == 0 {
			continue
		}
		fi := &t.fields[i]
		if fi.kind == kindMessage && !fi.list && o.count > 1 {
			return b, false
		}
		var ok bool
		if b, ok = fi.appendJSON(b, msg[o.start:o.end], o, len(b) > empty); !ok {
			return b, false
		}
	}
	return append(b, '}'), true
}

func (o *occurrences) add(f *Field, pos, n int) {
	if o.count == 0 {
		o.start = int32(pos)
	}
	o.end = int32(pos + n)
	o.count++
	if o.value = f.Value; f.Tag&7 == Bytes {
		o.size = int32(len(f.Bytes))
	}
}

// appendJSON appends name and value of a field unless the value is zero, after a
// comma if it is not the first. The occurrences are in part.
func (fi *fieldInfo) appendJSON(b, part []byte, o *occurrences, comma bool) ([]byte, bool) {
	zero := o.value == 0
	switch {
	case fi.kind == kindString:
		zero = o.size == 0
	case fi.kind == kindEnum:
		zero = int32(o.value) == 0
	case fi.kind == kindDouble:
		zero = math.Float64frombits(o.value) == 0
	case fi.kind == kindMessage || fi.kind == kindMap:
		zero = false
	}
	if zero && !fi.list {
		return b, true
	}
	if comma {
		b = append(b, ',')
	}
	b = append(b, fi.key...)
	switch {
	case fi.kind == kindMap:
		return fi.appendMap(b, part, int(o.count))
	case fi.list:
		return fi.appendList(b, part)
	}
	return fi.appendValue(b, part[len(part)-int(o.size):], o.value)
}

func (fi *fieldInfo) appendValue(b, content []byte, value uint64) ([]byte, bool) {
	switch fi.kind {
	case kindString:
		return appendJSONString(b, content), true
	case kindInt:
		return strconv.AppendInt(b, int64(value), 10), true
	case kindUint:
		return strconv.AppendUint(b, value, 10), true
	case kindEnum:
		return strconv.AppendInt(b, int64(int32(value)), 10), true
	case kindBool:
		return append(b, "true"...), true
	case kindDouble:
		return appendJSONFloat(b, math.Float64frombits(value))
	}
	return fi.message.AppendJSON(b, content)
}

// appendList appends the values of a list, which are in part.
func (fi *fieldInfo) appendList(b, part []byte) ([]byte, bool) {
	b = append(b, '[')
	ok, first := true, true
	var f Field
	for len(part) > 0 && ok {
		part = part[f.Read(part):]
		if f.Tag != fi.tag() {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b, ok = fi.appendValue(b, f.Bytes, f.Value)
	}
	return append(b, ']'), ok
}

// appendMap appends the entries of a map, which are in part, sorted by key. The
// last entry with a key counts.
func (fi *fieldInfo) appendMap(b, part []byte, count int) ([]byte, bool) {
	var few [16]MapEntry
	all := few[:0]
	if count > len(few) {
		all = make([]MapEntry, 0, count)
	}
	var f Field
	for len(part) > 0 {
		part = part[f.Read(part):]
		if f.Tag != fi.tag() {
			continue
		}
		e, ok := readMapEntry(f.Bytes)
		if !ok {
			return b, false
		}
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(x, y MapEntry) int { return bytes.Compare(x.Key, y.Key) })
	b = append(b, '{')
	empty := len(b)
	for i, e := range all {
		if i+1 < len(all) && bytes.Equal(e.Key, all[i+1].Key) {
			continue
		}
		if len(b) > empty {
			b = append(b, ',')
		}
		b = append(appendJSONString(b, e.Key), ':')
		b = appendJSONString(b, e.Value)
	}
	return append(b, '}'), true
}
