package ingest

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/wire"
)

// seenPairs judges the entries of a map<string,string> one by one.
type seenPairs struct {
	count, total int
	bad          bool // one of them needs a repair
}

// add looks at one entry and reports whether it is well-formed. An entry that
// holds more than one key, one value or anything else is kept out of the store,
// because what readers make of it is not certain.
func (s *seenPairs) add(entry []byte) bool {
	s.count++
	s.total += len(entry)
	if shortPair(entry) {
		s.bad = s.bad || !utf8.Valid(entry)
		return true
	}
	var f wire.Field
	keys, values := 0, 0
	for len(entry) > 0 {
		n := f.Read(entry)
		if n == 0 {
			return false
		}
		entry = entry[n:]
		switch f.Tag {
		case 1<<3 | wire.Bytes:
			keys++
			s.bad = s.bad || len(f.Bytes) > health.MaxResultKey || !utf8.Valid(f.Bytes)
		case 2<<3 | wire.Bytes:
			values++
			s.bad = s.bad || len(f.Bytes) > health.MaxResultValue || !utf8.Valid(f.Bytes)
		default:
			s.bad = true
		}
	}
	s.bad = s.bad || keys > 1 || values > 1
	return true
}

// shortPair reports whether an entry is what nearly all are: a key and a value of
// less than 128 bytes. The bytes around these are ASCII, so that such an entry is
// UTF-8 if both are.
func shortPair(entry []byte) bool {
	const around = 4 // two tags and two lengths
	if len(entry) < around || entry[0] != 1<<3|byte(wire.Bytes) || entry[1] >= 0x80 {
		return false
	}
	at := 2 + int(entry[1])
	return at+2 <= len(entry) && entry[at] == 2<<3|byte(wire.Bytes) &&
		entry[at+1] < 0x80 && at+2+int(entry[at+1]) == len(entry)
}

// dirty reports whether the entries must be written anew to be within the limit of
// bytes in all.
func (s *seenPairs) dirty(limit int) bool {
	return s.bad || s.count > health.MaxResults || s.total > limit
}

// pairs are sorted by key, without repeats, at most health.MaxResults of them.
// Which are left out must not depend on their order on the wire, because the
// publisher's map has none.
type pairs []wire.MapEntry

// put adds a pair, or replaces the value if the key is there, and reports
// whether a pair had to be left out.
func (p *pairs) put(n wire.MapEntry) (leftOut bool) {
	i, found := slices.BinarySearchFunc(*p, n.Key, func(x wire.MapEntry, key []byte) int {
		return bytes.Compare(x.Key, key)
	})
	switch {
	case found:
		(*p)[i].Value = n.Value
		return false
	case len(*p) < health.MaxResults:
		*p = slices.Insert(*p, i, n)
		return false
	case i < len(*p):
		copy((*p)[i+1:], (*p)[i:])
		(*p)[i] = n
	}
	return true
}

// fit cuts off the pairs at the end that are beyond the limit of bytes, and
// reports whether there were any.
func (p *pairs) fit(limit int) (leftOut bool) {
	for i, x := range *p {
		limit -= len(x.Key) + len(x.Value)
		if limit < 0 {
			*p = (*p)[:i]
			return true
		}
	}
	return false
}

// rebuildPairs appends the map<string,string> that is field num of a
// well-formed message to b, repaired and within the limit of bytes in all. If
// pairs are left out, the last one says so.
func (d *decoder) rebuildPairs(b, msg []byte, num uint64, limit int) []byte {
	d.kept = d.kept[:0]
	leftOut := false
	var f wire.Field
	for len(msg) > 0 {
		msg = msg[f.Read(msg):]
		if f.Tag == num<<3|wire.Bytes {
			leftOut = d.kept.put(d.pair(f.Bytes)) || leftOut
		}
	}
	leftOut = d.kept.fit(limit) || leftOut
	if leftOut {
		d.repairs.add(repairResults)
		d.kept = d.kept[:min(len(d.kept), health.MaxResults-1)]
		d.kept.put(wire.MapEntry{Key: []byte(health.CutMark), Value: []byte("more were left out")})
	}
	for _, x := range d.kept {
		b = wire.AppendMessage(b, protowire.Number(num), func(b []byte) []byte {
			return wire.AppendBytes(wire.AppendBytes(b, 1, x.Key), 2, x.Value)
		})
	}
	return b
}

// pair reads one well-formed entry and repairs it.
func (d *decoder) pair(entry []byte) wire.MapEntry {
	return wire.MapEntry{
		Key:   d.text(last(entry, 1), health.MaxResultKey),
		Value: d.text(last(entry, 2), health.MaxResultValue),
	}
}
