package state

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
)

// A file has one line for each record:
//
//	CHECKSUM LENGTH FILE/INDEX KIND/VERSION DATA
//
// CHECKSUM is the CRC-32C, in eight hexadecimal digits, of all that follows LENGTH and
// a space, and LENGTH the number of those bytes. FILE is the letter of the file and its
// generation, INDEX the position of the record: so neither a copy of a record nor one
// of another file is believed. If several records are one change, INDEX is followed by
// ":FIRST-LAST". Newlines in DATA are escaped, so that each newline of the file begins a
// record whatever DATA holds, and so is NUL, which shows what never reached the disk.

const (
	escape          = 0x1b
	escapedNewline  = 'n'
	escapedItself   = 'e'
	escapedNUL      = 'z'
	headSize        = 64 // of a line before FILE, at most
	maxRecord       = 4 << 20
	maxLine         = 2*maxRecord + 1024
	maxIndex        = 1 << 28 // a set of them takes 32 MiB
	journalLetter   = 'j'
	snapshotLetter  = 's'
	fileKind        = "file"
	fileKindVersion = 1
)

// place says which record of which file a record is.
type place struct {
	letter            byte
	generation, index uint64
	first, last       uint64 // of the change; zero if it has one record
}

// placed is a Record with its place.
type placed struct {
	Record
	place
}

// encoder appends lines. It reuses its buffer.
type encoder struct{ body []byte }

// line appends the line of a record, whose data is that of all parts, to b.
func (e *encoder) line(b []byte, p place, kind string, version int, data ...[]byte) []byte {
	body := e.body[:0]
	body = append(body, p.letter)
	body = strconv.AppendUint(body, p.generation, 10)
	body = append(body, '/')
	body = strconv.AppendUint(body, p.index, 10)
	if p.first < p.last {
		body = append(body, ':')
		body = strconv.AppendUint(body, p.first, 10)
		body = append(body, '-')
		body = strconv.AppendUint(body, p.last, 10)
	}
	body = append(body, ' ')
	body = append(body, kind...)
	body = append(body, '/')
	body = strconv.AppendInt(body, int64(version), 10)
	body = append(body, ' ')
	for _, part := range data {
		body = appendEscaped(body, part)
	}
	e.body = body
	b = appendChecksum(b, body)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, ' ')
	b = append(b, body...)
	return append(b, '\n')
}

func appendChecksum(b, of []byte) []byte {
	sum := binary.BigEndian.AppendUint32(make([]byte, 0, 4), Checksum(of))
	return hex.AppendEncode(b, sum)
}

func appendEscaped(b, data []byte) []byte {
	if bytes.IndexByte(data, '\n') < 0 && bytes.IndexByte(data, escape) < 0 && bytes.IndexByte(data, 0) < 0 {
		return append(b, data...)
	}
	for _, c := range data {
		switch c {
		case '\n':
			b = append(b, escape, escapedNewline)
		case escape:
			b = append(b, escape, escapedItself)
		case 0:
			b = append(b, escape, escapedNUL)
		default:
			b = append(b, c)
		}
	}
	return b
}

// unescape returns what appendEscaped was given. It reuses data.
func unescape(data []byte) []byte {
	i := bytes.IndexByte(data, escape)
	if i < 0 {
		return data
	}
	out := data[:i]
	for ; i < len(data); i++ {
		c := data[i]
		if c == escape && i+1 < len(data) {
			i++
			switch data[i] {
			case escapedNewline:
				c = '\n'
			case escapedNUL:
				c = 0
			}
		}
		out = append(out, c)
	}
	return out
}

// cutLine reads the record at the begin of text. rest is what follows it, beginning
// with its newline. The data of the record is a part of text.
func cutLine(text []byte) (r placed, rest []byte, ok bool) {
	sum, rest, ok := bytes.Cut(text[:min(len(text), headSize)], []byte(" "))
	length, _, found := bytes.Cut(rest, []byte(" "))
	n, err := strconv.ParseUint(string(length), 10, 31)
	if !ok || !found || err != nil {
		return r, nil, false
	}
	text = text[len(sum)+len(length)+2:]
	if uint64(len(text)) < n || !bytes.Equal(sum, appendChecksum(nil, text[:n])) {
		return r, nil, false
	}
	r, ok = parseBody(text[:n:n])
	return r, text[n:], ok
}

// parseBody reads what a checksum protects.
func parseBody(body []byte) (r placed, ok bool) {
	at, rest, ok1 := bytes.Cut(body, []byte(" "))
	kind, data, ok2 := bytes.Cut(rest, []byte(" "))
	file, index, ok3 := bytes.Cut(at, []byte("/"))
	name, version, ok4 := bytes.Cut(kind, []byte("/"))
	if !ok1 || !ok2 || !ok3 || !ok4 || len(file) < 2 {
		return r, false
	}
	r.letter, r.Kind = file[0], string(name)
	index, change, isPart := bytes.Cut(index, []byte(":"))
	first, last, ok5 := bytes.Cut(change, []byte("-"))
	var d decimals
	r.generation, r.index, r.Version = d.parse(file[1:]), d.parse(index), int(d.parse(version)&math.MaxInt32)
	if isPart {
		r.first, r.last = d.parse(first), d.parse(last)
	}
	r.Data = unescape(data)
	return r, !d.wrong && max(r.index, r.last) < maxIndex && r.first <= r.index && (!isPart || ok5 && r.index <= r.last)
}

// decimals parses numbers and remembers whether one was wrong.
type decimals struct{ wrong bool }

func (d *decimals) parse(b []byte) uint64 {
	n, err := strconv.ParseUint(string(b), 10, 63)
	d.wrong = d.wrong || err != nil
	return n
}
