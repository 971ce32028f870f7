package document

import (
	"fmt"
	"strings"
)

// checkNesting refuses a TOML text that nests deeper than maxDepth, in brackets
// or in dotted keys, and says in which line. The parser takes the square of the
// depth in time. What the text means is left to the parser.
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
			return line, fmt.Errorf("it nests deeper than %d levels", maxDepth)
		}
	}
	return 0, nil
}

// lengthTo returns the length of text before end, or of all of it.
func lengthTo(text, end string) int {
	if i := strings.Index(text, end); i >= 0 {
		return i
	}
	return len(text)
}

// lengthOfString returns the length of the string that text begins with, its
// quotes included. One that is not closed ends with its line, or with the text
// if it may have several lines.
func lengthOfString(text string) int {
	quote, many := text[:1], strings.Repeat(text[:1], 3)
	end, last := quote, lengthTo(text, "\n")
	if strings.HasPrefix(text, many) {
		end, last = many, len(text)
	}
	for i := len(end); i < last; i++ {
		switch {
		case quote == `"` && text[i] == '\\':
			i++
		case strings.HasPrefix(text[i:], end):
			n := i + len(end)
			// A long string may end with quotes of its own, two at most.
			for k := 0; k < 2 && end == many && strings.HasPrefix(text[n:], quote); k++ {
				n++
			}
			return n
		}
	}
	return last
}
