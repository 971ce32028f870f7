package document

import (
	"fmt"
	"strings"
)

// checkNesting rejects a TOML text that is nested deeper than maxDepth, by brackets
// or dotted keys, and returns the line. The time of the parser grows with the square
// of the depth.
func checkNesting(text string) (line int, err error) {
	line = 1
	brackets, dots := 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\n':
			line++
			dots = 0
		case '#':
			i += lengthTo(text[i:], "\n") - 1
		case '"', '\'':
			n := lengthOfString(text[i:])
			line += strings.Count(text[i:i+n], "\n")
			i += n - 1
		case '[', '{':
			brackets++
			dots = 0
		case ']', '}':
			brackets = max(0, brackets-1)
			dots = 0
		case '=', ',':
			dots = 0
		case '.':
			dots++
		}
		if brackets > maxDepth || dots > maxDepth {
			return line, fmt.Errorf("nested deeper than %d levels", maxDepth)
		}
	}
	return 0, nil
}

// lengthTo returns the length of text up to end, or of all of it.
func lengthTo(text, end string) int {
	if i := strings.Index(text, end); i >= 0 {
		return i
	}
	return len(text)
}

// lengthOfString returns the length of the string at the start of text, including
// its quotes. An unclosed string ends with its line, an unclosed multi-line string
// with the text.
func lengthOfString(text string) int {
	quote, triple := text[:1], strings.Repeat(text[:1], 3)
	end, last := quote, lengthTo(text, "\n")
	if strings.HasPrefix(text, triple) {
		end, last = triple, len(text)
	}
	for i := len(end); i < last; i++ {
		switch {
		case quote == `"` && text[i] == '\\':
			i++
		case strings.HasPrefix(text[i:], end):
			n := i + len(end)
			// A multi-line string may contain up to two quotes before its end.
			for k := 0; k < 2 && end == triple && strings.HasPrefix(text[n:], quote); k++ {
				n++
			}
			return n
		}
	}
	return last
}
