package document

import (
	"fmt"
	"strings"
)

// Limits of a document, whose tree takes up to 200 times the memory of its text.
const (
	// maxSections bounds the [[...]] at the top level, maxHeaders all headers.
	maxSections = 20_000
	maxHeaders  = 60_000
	// maxParts bounds the keys and elements of lists: 20 for each of 10,000 monitors.
	maxParts = 200_000
	// maxTableParts bounds those below one header.
	maxTableParts = 10_000
)

// outline returns the length of the part of a TOML text that is read, which ends after
// maxSections sections, and the line where that is less than all. It rejects a text
// with more headers or parts than the limits allow, and one that is nested deeper than
// maxDepth, by brackets or dotted keys: the time of the parser grows with the square of
// the depth.
func outline(text string) (length, line int, err error) {
	line = 1
	brackets, dots, sections, headers := 0, 0, 0, 0
	parts, before := 0, 0 // before is the number of parts up to the last header
	blank := true         // only blanks were read since the start of the line
	for i := 0; i < len(text); i++ {
		if first := blank && brackets == 0; first && text[i] == '[' {
			headers++
			before = parts
			if !strings.Contains(text[i:i+lengthTo(text[i:], "]")], ".") {
				sections++
			}
			if sections > maxSections {
				return i, line, nil
			}
		}
		blank = text[i] == '\n' || blank && (text[i] == ' ' || text[i] == '\t')
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
			parts++
		case '.':
			dots++
		}
		if brackets > maxDepth || dots > maxDepth {
			return 0, line, fmt.Errorf("nested deeper than %d levels", maxDepth)
		}
		if parts > maxParts || headers > maxHeaders {
			return 0, line, fmt.Errorf("more than %d keys and elements of lists, or %d headers: split the file", maxParts, maxHeaders)
		}
		if parts-before > maxTableParts {
			return 0, line, fmt.Errorf("more than %d keys and elements of lists in one table", maxTableParts)
		}
	}
	return len(text), 0, nil
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
