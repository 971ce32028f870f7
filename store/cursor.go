package store

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// listing identifies a list and its order, so that a cursor is not accepted for another
// one.
type listing byte

const (
	listChecks listing = iota + 1
	listChecksByID
	listNodes
	listStats
	listVersions
)

// encode returns a cursor with the key of the last item of a page. It remains valid
// when items are added or removed, even that one.
func (l listing) encode(k key) string {
	b := append(make([]byte, 0, 256), byte(l))
	for _, word := range k {
		b = binary.AppendUvarint(b, uint64(len(word)))
		b = append(b, word...)
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return string(base64.RawURLEncoding.AppendEncode(make([]byte, 0, 344), b))
}

// decode returns the key in a cursor. It accepts only what encode returns.
func (l listing) decode(cursor string) (key, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil && len(b) > 0 {
		if k, ok := splitWords(b[1:]); ok && l.encode(k) == cursor {
			return k, nil
		}
	}
	return key{}, fmt.Errorf("%w %.40q: use the cursor of the previous page", ErrBadCursor, cursor)
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
