package document

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// syntaxProblem returns an error of the TOML parser with its line and a hint.
func syntaxProblem(file, text string, err error) *Problem {
	p := &Problem{File: file, Err: err}
	var at toml.ParseError
	if !errors.As(err, &at) {
		return p
	}
	p.Line = at.Position.Line
	if errorAtLineEnd(text, at.Position) {
		p.Line--
	}
	line := ""
	if lines := strings.Split(text, "\n"); p.Line > 0 && p.Line <= len(lines) {
		line = lines[p.Line-1]
	}
	p.Err = errors.New(withHint(at.Message, text, line))
	return p
}

// errorAtLineEnd reports whether the error is at the end of a line but the parser
// has counted the next line.
func errorAtLineEnd(text string, at toml.Position) bool {
	for _, end := range []int{at.Start, at.Start - 1} {
		if end >= 0 && end < len(text) && text[end] == '\n' {
			return strings.Count(text[:end], "\n")+2 == at.Line
		}
	}
	return false
}

// withHint adds the most likely mistake to a message of the parser.
func withHint(message, text, line string) string {
	if m := regexp.MustCompile(`^Key '(.*)' (has already been|was already)`).FindStringSubmatch(message); m != nil {
		return duplicateKey(m[1])
	}
	hint := ""
	switch {
	case LooksLikeJSON(text):
		hint = "this looks like JSON, which only the register command accepts; monitor files are TOML"
	case typographicRune(line) != 0:
		hint = fmt.Sprintf("the line contains the character %q (%[1]U): use plain spaces and quotes", typographicRune(line))
	case strings.Contains(message, "invalid UTF-8"):
		hint = "save the file as UTF-8"
	case strings.Contains(message, "0x0d"):
		hint = "save the file with Unix or DOS line endings"
	case strings.Contains(message, "cannot contain newlines"):
		hint = "a quote is missing"
	case strings.Contains(message, "to end table name"), strings.Contains(message, "table array name delimiter"):
		hint = "the header is not closed"
	case strings.Contains(message, `expected value but found '\n'`):
		hint = "the value is missing"
	case strings.Contains(message, "expected value but found"), strings.Contains(message, "expected a top-level item to end"):
		hint = `put text in quotes, as in key = "10s"`
	}
	if hint == "" {
		return message
	}
	return message + ": " + hint
}

// duplicateKey returns the message for a key or table that is defined twice.
func duplicateKey(key string) string {
	list, _, nested := strings.Cut(key, ".")
	if nested && (list == "monitor" || list == "receiver") {
		return fmt.Sprintf("%q is defined twice: remove one, or start another [[%s]] before it", key, list)
	}
	return fmt.Sprintf("%q is defined twice: remove one", key)
}

// typographicRune returns the first typographic space or quote of a line, as word
// processors and web pages contain them, or 0.
func typographicRune(line string) rune {
	if i := strings.IndexAny(line, "\u00a0\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"); i >= 0 {
		for _, r := range line[i:] {
			return r
		}
	}
	return 0
}
