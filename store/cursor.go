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

// decode returns the key in a cursor.
func (l listing) decode(cursor string) (k key, err error) {
	bad := fmt.Errorf("%w %.40q: take it from the answer before", ErrBadCursor, cursor)
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) < 5 || b[0] != byte(l) {
		return k, bad
	}
	b, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.ChecksumIEEE(b) != sum {
		return k, bad
	}
	b = b[1:]
	for i := range k {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return k, bad
		}
		k[i], b = string(b[n:n+int(size)]), b[n+int(size):]
	}
	if len(b) > 0 {
		return k, bad
	}
	return k, nil
}
