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
	b := []byte{byte(l)}
	for _, word := range k {
		b = binary.AppendUvarint(b, uint64(len(word)))
		b = append(b, word...)
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// decode returns the key in a cursor. Only what encode makes is taken.
func (l listing) decode(cursor string) (k key, err error) {
	bad := fmt.Errorf("%w %.40q: take it from the answer before", ErrBadCursor, cursor)
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) == 0 {
		return k, bad
	}
	rest := b[1:]
	for i := range k {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return k, bad
		}
		rest = rest[n:]
		k[i], rest = string(rest[:size]), rest[size:]
	}
	if l.encode(k) != cursor {
		return k, bad
	}
	return k, nil
}
