package text

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// SurrogateSize is the size of an escape such as \ud83d, in bytes.
const SurrogateSize = 6

// HalfSurrogate returns the index of the first escape in JSON that is half of a
// surrogate pair, or -1. It is no character, and Go's decoders replace it by U+FFFD or
// refuse the text. JavaScript programs write it when they cut a text within a pair.
func HalfSurrogate(json []byte) int {
	for i := 0; ; {
		next := bytes.IndexByte(json[i:], '\\')
		if next < 0 {
			return -1
		}
		i += next
		switch unit := escapedUnit(json[i:]); {
		case !utf16.IsSurrogate(unit):
			i = min(i+2, len(json)) // also over an escaped backslash
		case utf16.DecodeRune(unit, escapedUnit(json[i+SurrogateSize:])) != utf8.RuneError:
			i += 2 * SurrogateSize
		default:
			return i
		}
	}
}

// escapedUnit returns the UTF-16 code unit of the JSON escape that b begins with, or
// -1 if there is none.
func escapedUnit(b []byte) rune {
	if len(b) < SurrogateSize || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(b[2:SurrogateSize]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}
