// Package text cleans text that came from elsewhere for logs, pages, messages and
// answers.
package text

import (
	"strings"
	"unicode"
)

// scanFactor bounds the work of Line: it cleans at most scanFactor*limit bytes.
// Cleaning drops bytes, but rarely most of them.
const scanFactor = 8

// Line returns s as one printable line of at most limit bytes: what breaks lines
// becomes a space; control characters, and marks that change the direction of
// writing, are dropped. What was cut ends with an ellipsis.
func Line(s string, limit int) string {
	cut := len(s) > scanFactor*limit
	if cut {
		s = s[:scanFactor*limit]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return -1 // includes U+202E and its like
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= limit && !cut {
		return s
	}
	return strings.ToValidUTF8(s[:min(len(s), limit-len("…"))], "") + "…"
}

// Lines returns s without the characters that Line drops, with its lines as they
// are.
func Lines(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) || unicode.IsSpace(r) && r != '\r' {
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, ""))
}
