package text

import (
	"strings"
	"unicode/utf8"
)

// Replacement stands for bytes that are not valid UTF-8.
const Replacement = "\uFFFD"

// Valid returns s with what is not valid UTF-8 replaced.
func Valid(s string) string { return strings.ToValidUTF8(s, Replacement) }

// Clip returns s as valid UTF-8 of at most limit bytes. What was cut ends with mark.
func Clip(s string, limit int, mark string) string {
	if len(s) <= limit {
		s = Valid(s)
		if len(s) <= limit {
			return s
		}
	}
	end := max(0, min(limit-len(mark), len(s)))
	for end > 0 && end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	s = Valid(s[:end])
	for len(s)+len(mark) > limit && s != "" { // replacing made it longer
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s + mark
}
