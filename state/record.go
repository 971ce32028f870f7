package state

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strconv"
)

// A file has one line for each record:
//
//	CHECKSUM LENGTH INDEX/COUNT KIND/VERSION DATA
//
// CHECKSUM is the CRC-32C, in eight hexadecimal digits, of all that follows LENGTH
// and a space, and LENGTH the number of those bytes. INDEX is the position of the
// record, COUNT the number of records. Record 0 is the head: its kind is headKind, its
// version that of this format, its data what the file holds. Later formats keep this
// form of the head.

const (
	headKind    = "file"
	headVersion = 1
)

// A Record is one piece of the state of a room.
type Record struct {
	// Kind names what the record holds, without spaces and slashes.
	Kind string
	// Version is that of the form of Data, from 1.
	Version int
	// Data is one line of text.
	Data []byte
}

// A Format says what a file holds.
type Format struct {
	// Holds names the content of the file.
	Holds string
	// Versions has the highest known version of each kind of record.
	Versions map[string]int
}

// Checksum returns the CRC-32C of b.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// Encode returns the content of a file with the records in their order.
func (f Format) Encode(records []Record) ([]byte, error) {
	var text bytes.Buffer
	var line []byte
	count := len(records) + 1
	for i := range count {
		r := Record{headKind, headVersion, []byte(f.Holds)}
		if i > 0 {
			r = records[i-1]
		}
		if bytes.IndexByte(r.Data, '\n') >= 0 {
			return nil, fmt.Errorf("encoding a record of kind %q: its data has more than one line", r.Kind)
		}
		line = fmt.Appendf(line[:0], "%d/%d %s/%d ", i, count, r.Kind, r.Version)
		line = append(line, r.Data...)
		fmt.Fprintf(&text, "%08x %d %s\n", Checksum(line), len(line), line)
	}
	return text.Bytes(), nil
}

// numbered is a Record with its place in the file.
type numbered struct {
	Record
	index, count int
}

// cutRecord reads the record at the begin of text. rest is what follows it.
func cutRecord(text []byte) (r numbered, rest []byte, ok bool) {
	sum, rest, ok := bytes.Cut(text[:min(len(text), 64)], []byte(" "))
	length, _, found := bytes.Cut(rest, []byte(" "))
	if !ok || !found || len(sum) != 8 {
		return r, nil, false
	}
	want, err := strconv.ParseUint(string(sum), 16, 32)
	n, nErr := strconv.ParseUint(string(length), 10, 31)
	text = text[len(sum)+len(length)+2:]
	if err != nil || nErr != nil || uint64(len(text)) < n || Checksum(text[:n]) != uint32(want) {
		return r, nil, false
	}
	r, ok = parseRecord(text[:n])
	return r, text[n:], ok
}

// parseRecord reads what a checksum protects.
func parseRecord(line []byte) (r numbered, ok bool) {
	place, line, ok1 := bytes.Cut(line, []byte(" "))
	kind, data, ok2 := bytes.Cut(line, []byte(" "))
	index, count, ok3 := bytes.Cut(place, []byte("/"))
	name, version, ok4 := bytes.Cut(kind, []byte("/"))
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return r, false
	}
	r.Kind, r.Data = string(name), data
	for _, number := range []struct {
		to   *int
		text []byte
	}{{&r.index, index}, {&r.count, count}, {&r.Version, version}} {
		n, err := strconv.ParseUint(string(number.text), 10, 31)
		if err != nil {
			return r, false
		}
		*number.to = int(n)
	}
	return r, r.index < r.count
}

// Decode returns the records of a file. If it is damaged, the sound ones are
// returned with an error that says how many are lost. The error of a file of a
// newer version is a *NewerError.
func (f Format) Decode(text []byte) ([]Record, error) {
	var d decoder
	for len(text) > 0 {
		r, rest, ok := cutRecord(text)
		switch {
		case ok:
			d.add(r)
			d.damaged = d.damaged || len(rest) == 0 || rest[0] != '\n'
			text = rest[min(1, len(rest)):]
		default:
			d.damaged = true
			_, text, _ = bytes.Cut(text, []byte("\n"))
		}
	}
	if err := f.check(d.sound); err != nil {
		return nil, err
	}
	return d.records()
}

// check rejects records of newer versions and of other files.
func (f Format) check(sound map[int]numbered) error {
	for index, r := range sound {
		known := f.Versions[r.Kind]
		if index == 0 && r.Kind == headKind {
			if known = headVersion; r.Version == known && string(r.Data) != f.Holds {
				return fmt.Errorf("it holds %q, want %q", r.Data, f.Holds)
			}
		}
		if r.Version > known {
			return &NewerError{fmt.Sprintf("version %d of record %q, want at most %d", r.Version, r.Kind, known)}
		}
	}
	return nil
}

// decoder collects the records of a file.
type decoder struct {
	sound   map[int]numbered // by index
	count   int              // of the first sound record
	damaged bool
}

// add adds a sound record. Copies of a record, and records with another count, are
// from elsewhere.
func (d *decoder) add(r numbered) {
	if d.sound == nil {
		d.sound, d.count = make(map[int]numbered), r.count
	}
	if _, ok := d.sound[r.index]; ok || r.count != d.count {
		d.damaged = true
		return
	}
	d.sound[r.index] = r
}

func (d *decoder) records() ([]Record, error) {
	if len(d.sound) == 0 {
		return nil, errors.New("no record is sound")
	}
	var records []Record
	for _, index := range slices.Sorted(maps.Keys(d.sound)) {
		if index > 0 {
			records = append(records, d.sound[index].Record)
		}
	}
	lost := d.count - 1 - len(records)
	switch _, hasHead := d.sound[0]; {
	case lost > 0:
		return records, fmt.Errorf("%d of %d records are lost", lost, d.count-1)
	case !hasHead:
		return records, fmt.Errorf("its head is lost, and none of %d records", d.count-1)
	case d.damaged:
		return records, fmt.Errorf("some bytes are wrong, and none of %d records is lost", d.count-1)
	}
	return records, nil
}
