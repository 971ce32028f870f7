package access

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ExecAllow is a list of commands with all their arguments.
type ExecAllow struct{ entries [][]string }

// LoadExecAllow reads a list of commands: one a line, an absolute path and then
// the exact arguments, parted by blanks. An argument that holds blanks or quotes
// stands in double quotes, with the escapes of Go. Empty lines and lines that
// begin with # say nothing. An empty list allows nothing. A file that group or
// others may write is refused.
func LoadExecAllow(file string) (*ExecAllow, error) {
	text, err := readRestricted(file, 0o022)
	if err == nil {
		var list *ExecAllow
		if list, err = parseExecAllow(text); err == nil {
			return list, nil
		}
	}
	return nil, fmt.Errorf("reading the list of commands %q: %w", file, err)
}

// Permits reports whether argv is an entry of the list, word for word.
func (l *ExecAllow) Permits(argv []string) bool {
	return slices.ContainsFunc(l.entries, func(e []string) bool { return slices.Equal(e, argv) })
}

func parseExecAllow(text string) (*ExecAllow, error) {
	list := new(ExecAllow)
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		argv, err := splitWords(line)
		if err == nil {
			err = checkPath(argv[0])
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		list.entries = append(list.entries, argv)
	}
	return list, nil
}

// checkPath refuses a path that names a file by way of something else.
func checkPath(path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" {
		return fmt.Errorf("the command %q is not an absolute path, or holds . or .. as a part", path)
	}
	return nil
}

// words splits a line, which is not blank.
func splitWords(line string) ([]string, error) {
	var all []string
	for line != "" {
		word, rest, err := firstWord(line)
		if err != nil {
			return nil, err
		}
		if strings.ContainsRune(word, 0) {
			return nil, errors.New("a word holds the byte 0, which no argument can")
		}
		all = append(all, word)
		line = strings.TrimLeft(rest, " \t")
	}
	return all, nil
}

func firstWord(line string) (word, rest string, err error) {
	if line[0] != '"' {
		if i := strings.IndexAny(line, " \t"); i >= 0 {
			line, rest = line[:i], line[i:]
		}
		if strings.ContainsRune(line, '"') {
			return "", "", fmt.Errorf("a quote within the word %q: put the whole word in quotes", line)
		}
		return line, rest, nil
	}
	quoted, err := strconv.QuotedPrefix(line)
	if err != nil {
		return "", "", fmt.Errorf("the quotes of %q do not close", line)
	}
	rest = line[len(quoted):]
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return "", "", fmt.Errorf("after the quotes of %s a blank is missing", quoted)
	}
	word, err = strconv.Unquote(quoted)
	if err != nil {
		return "", "", fmt.Errorf("reading %s: %w", quoted, err)
	}
	return word, rest, nil
}
