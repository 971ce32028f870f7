package handler

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/microhq/monitor-srv/health"
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
	var f field
	keys, values := 0, 0
	for len(entry) > 0 {
		n := f.read(entry)
		if n == 0 {
			return false
		}
		entry = entry[n:]
		switch f.tag {
		case 1<<3 | bytesType:
			keys++
			s.bad = s.bad || len(f.bytes) > health.MaxResultKey || !utf8.Valid(f.bytes)
		case 2<<3 | bytesType:
			values++
			s.bad = s.bad || len(f.bytes) > health.MaxResultValue || !utf8.Valid(f.bytes)
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
	if len(entry) < around || entry[0] != 1<<3|byte(bytesType) || entry[1] >= 0x80 {
		return false
	}
	at := 2 + int(entry[1])
	return at+2 <= len(entry) && entry[at] == 2<<3|byte(bytesType) &&
		entry[at+1] < 0x80 && at+2+int(entry[at+1]) == len(entry)
}

// dirty reports whether the entries must be written anew to be within the limit of
// bytes in all.
func (s *seenPairs) dirty(limit int) bool {
	return s.bad || s.count > health.MaxResults || s.total > limit
}

type pair struct{ key, value []byte }

// pairs are sorted by key, without repeats, at most health.MaxResults of them.
// Which are left out must not depend on their order on the wire, because the
// publisher's map has none.
type pairs []pair

// put adds a pair, or replaces the value if the key is there, and reports
// whether a pair had to be left out.
func (p *pairs) put(n pair) (leftOut bool) {
	i, found := slices.BinarySearchFunc(*p, n.key, func(x pair, key []byte) int {
		return bytes.Compare(x.key, key)
	})
	switch {
	case found:
		(*p)[i].value = n.value
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
		limit -= len(x.key) + len(x.value)
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
	var f field
	for len(msg) > 0 {
		msg = msg[f.read(msg):]
		if f.tag == num<<3|bytesType {
			leftOut = d.kept.put(d.pair(f.bytes)) || leftOut
		}
	}
	leftOut = d.kept.fit(limit) || leftOut
	if leftOut {
		d.repairs.add(repairResults)
		d.kept = d.kept[:min(len(d.kept), health.MaxResults-1)]
		d.kept.put(pair{[]byte(health.CutMark), []byte("more were left out")})
	}
	for _, x := range d.kept {
		b = appendMessage(b, protowire.Number(num), func(b []byte) []byte {
			return appendBytes(appendBytes(b, 1, x.key), 2, x.value)
		})
	}
	return b
}

// pair reads one well-formed entry and repairs it.
func (d *decoder) pair(entry []byte) pair {
	return pair{
		key:   d.text(last(entry, 1), health.MaxResultKey),
		value: d.text(last(entry, 2), health.MaxResultValue),
	}
}
