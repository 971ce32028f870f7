package wire

import "google.golang.org/protobuf/encoding/protowire"

// MapEntry is one entry of a map<string, string>.
type MapEntry struct{ Key, Value []byte }

// AppendMapEntry appends one entry of the map<string, string> with the number.
func AppendMapEntry[T string | []byte](b []byte, num protowire.Number, key, value T) []byte {
	size := protowire.SizeTag(MapKey) + protowire.SizeBytes(len(key)) +
		protowire.SizeTag(MapValue) + protowire.SizeBytes(len(value))
	b = protowire.AppendTag(b, num, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, MapKey, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(key)))
	b = append(b, key...)
	b = protowire.AppendTag(b, MapValue, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(value)))
	return append(b, value...)
}

// IsShortEntry reports whether entry has the form of nearly all entries: a key,
// then a value, each shorter than 128 bytes. The bytes around them are ASCII, so
// such an entry is valid UTF-8 if and only if key and value are.
func IsShortEntry(entry []byte) bool {
	const around = 4 // two tags and two lengths
	if len(entry) < around || entry[0] != MapKey<<3|byte(Bytes) || entry[1] >= 0x80 {
		return false
	}
	at := 2 + int(entry[1])
	return at+2 <= len(entry) && entry[at] == MapValue<<3|byte(Bytes) &&
		entry[at+1] < 0x80 && at+2+int(entry[at+1]) == len(entry)
}
