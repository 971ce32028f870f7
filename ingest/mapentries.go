package ingest

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/wire"
)

// mapScan checks the entries of a map<string, string> one by one.
type mapScan struct {
	count, size int
	bad         bool // an entry needs a repair
}

// add checks one entry and reports whether it is well-formed. An entry with
// several keys, several values or unknown fields is well-formed but repaired,
// because decoders disagree on what it means.
func (s *mapScan) add(entry []byte) bool {
	s.count++
	s.size += len(entry)
	if wire.IsShortEntry(entry) {
		s.bad = s.bad || !utf8.Valid(entry)
		return true
	}
	var f wire.Field
	keys, values := 0, 0
	for f.Next(&entry) {
		switch f.Tag {
		case wire.MapKey<<3 | wire.Bytes:
			keys++
			s.bad = s.bad || len(f.Bytes) > health.MaxResultKey || !utf8.Valid(f.Bytes)
		case wire.MapValue<<3 | wire.Bytes:
			values++
			s.bad = s.bad || len(f.Bytes) > health.MaxResultValue || !utf8.Valid(f.Bytes)
		default:
			s.bad = true
		}
	}
	s.bad = s.bad || keys > 1 || values > 1
	return len(entry) == 0
}

// needsRepair reports whether the map must be rewritten. maxSize bounds the bytes
// of all entries.
func (s *mapScan) needsRepair(maxSize int) bool {
	return s.bad || s.count > health.MaxResults || s.size > maxSize
}

// mapEntries are sorted by key, without duplicates, at most health.MaxResults of
// them. Which entries are dropped must not depend on their order on the wire,
// because Go's maps have none.
type mapEntries []wire.MapEntry

// put adds an entry or replaces the value of its key. It reports whether an entry
// was dropped.
func (m *mapEntries) put(e wire.MapEntry) (dropped bool) {
	i, found := slices.BinarySearchFunc(*m, e.Key, func(x wire.MapEntry, key []byte) int {
		return bytes.Compare(x.Key, key)
	})
	switch {
	case found:
		(*m)[i].Value = e.Value
		return false
	case len(*m) < health.MaxResults:
		*m = slices.Insert(*m, i, e)
		return false
	case i < len(*m):
		copy((*m)[i+1:], (*m)[i:])
		(*m)[i] = e
	}
	return true
}

// fit drops the last entries until the rest has at most maxSize bytes. It reports
// whether an entry was dropped.
func (m *mapEntries) fit(maxSize int) (dropped bool) {
	for i, e := range *m {
		maxSize -= len(e.Key) + len(e.Value)
		if maxSize < 0 {
			*m = (*m)[:i]
			return true
		}
	}
	return false
}

// rebuildMap appends field num of a well-formed message, a map<string, string>,
// to b, repaired and with at most maxSize bytes. If entries are dropped, the last
// entry says so.
func (d *decoder) rebuildMap(b, msg []byte, num protowire.Number, maxSize int) []byte {
	d.entries = d.entries[:0]
	dropped := false
	var f wire.Field
	for f.Next(&msg) {
		if f.Tag == uint64(num)<<3|wire.Bytes {
			dropped = d.entries.put(d.repairMapEntry(f.Bytes)) || dropped
		}
	}
	dropped = d.entries.fit(maxSize) || dropped
	if dropped {
		d.repairs.add(repairResults)
		d.entries = d.entries[:min(len(d.entries), health.MaxResults-1)]
		d.entries.put(wire.MapEntry{Key: []byte(health.CutMark), Value: []byte("more were left out")})
	}
	for _, e := range d.entries {
		b = wire.AppendMapEntry(b, num, e.Key, e.Value)
	}
	return b
}

// mapEntry reads a well-formed entry and repairs it.
func (d *decoder) repairMapEntry(entry []byte) wire.MapEntry {
	return wire.MapEntry{
		Key:   d.repairText(wire.LastBytes(entry, wire.MapKey), health.MaxResultKey),
		Value: d.repairText(wire.LastBytes(entry, wire.MapValue), health.MaxResultValue),
	}
}
