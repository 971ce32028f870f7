package wire

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// The functions below append a member of a JSON object and a comma, as encoding/json
// writes the field of a message: 64-bit integers and enums as numbers, and nothing for
// a zero value. CloseJSON ends the object.

// AppendJSONString appends a string.
func AppendJSONString[T string | []byte](b []byte, name string, v T) []byte {
	if len(v) == 0 {
		return b
	}
	return append(appendQuoted(appendName(b, name), v), ',')
}

// AppendJSONInt appends an integer or the number of an enum.
func AppendJSONInt(b []byte, name string, v int64) []byte {
	if v == 0 {
		return b
	}
	return append(strconv.AppendInt(appendName(b, name), v, 10), ',')
}

// AppendJSONBool appends a bool.
func AppendJSONBool(b []byte, name string, v bool) []byte {
	if !v {
		return b
	}
	return append(appendName(b, name), "true,"...)
}

// AppendJSONMap appends the map<string, string> that is field num of the encoded
// message msg, sorted by key. The last entry with a key counts.
func AppendJSONMap(b []byte, name string, msg []byte, num protowire.Number) []byte {
	var few [16]MapEntry
	all := few[:0]
	var f Field
	for f.Next(&msg) {
		if f.Tag == uint64(num)<<3|Bytes {
			all = append(all, MapEntry{LastBytes(f.Bytes, MapKey), LastBytes(f.Bytes, MapValue)})
		}
	}
	if len(all) == 0 {
		return b
	}
	slices.SortStableFunc(all, func(x, y MapEntry) int { return bytes.Compare(x.Key, y.Key) })
	b = append(appendName(b, name), '{')
	for i, e := range all {
		if i+1 < len(all) && bytes.Equal(e.Key, all[i+1].Key) {
			continue
		}
		b = append(appendQuoted(b, e.Key), ':')
		b = append(appendQuoted(b, e.Value), ',')
	}
	return CloseJSON(b, "},")
}

// CloseJSON appends the end of an object or a list in place of the comma after its
// last member.
func CloseJSON(b []byte, end string) []byte {
	return append(bytes.TrimSuffix(b, []byte(",")), end...)
}

func appendName(b []byte, name string) []byte {
	b = append(b, '"')
	b = append(b, name...)
	return append(b, `":`...)
}

// appendQuoted appends s as encoding/json writes a string. Nearly all need no escape.
func appendQuoted[T string | []byte](b []byte, s T) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(string(s)) // of a string there is no error
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
