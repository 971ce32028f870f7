package store

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// listing tells the orders of lists apart, so that the cursor of one is not taken
// for that of another.
type listing byte

const (
	listChecks listing = iota + 1
	listChecksByID
	listNodes
	listStats
	listVersions
)

// encode makes a cursor out of the key of the last item of a page: it stays good
// whatever comes and goes, that item included.
func (l listing) encode(k key) string {
	b := append(make([]byte, 0, 256), byte(l))
	for _, word := range k {
		b = binary.AppendUvarint(b, uint64(len(word)))
		b = append(b, word...)
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return string(base64.RawURLEncoding.AppendEncode(make([]byte, 0, 344), b))
}

// decode returns the key in a cursor. Only what encode makes is taken.
func (l listing) decode(cursor string) (key, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil && len(b) > 0 {
		if k, ok := splitWords(b[1:]); ok && l.encode(k) == cursor {
			return k, nil
		}
	}
	return key{}, fmt.Errorf("%w %.40q: take it from the answer before", ErrBadCursor, cursor)
}

func splitWords(b []byte) (k key, ok bool) {
	for i := range k {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return k, false
		}
		b = b[n:]
		k[i], b = string(b[:size]), b[size:]
	}
	return k, true
}
