package access

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ExecAllow is a list of allowed commands with all their arguments.
type ExecAllow struct{ entries [][]string }

// LoadExecAllow reads a list of commands, one per line: an absolute path and the
// exact arguments, separated by spaces or tabs. An argument that contains spaces or
// quotes is written in double quotes, with the escapes of Go. Empty lines and lines
// that start with # are ignored. An empty list allows nothing. A file that group or
// others may write, or that belongs to neither root nor the user of this process, is
// rejected.
func LoadExecAllow(file string) (*ExecAllow, error) {
	text, err := readTrusted("the list of commands", file, 0o022)
	if err != nil {
		return nil, err
	}
	list, err := parseExecAllow(text)
	if err != nil {
		return nil, fmt.Errorf("reading the list of commands %q: %w", file, err)
	}
	return list, nil
}

// Permits reports whether argv equals an entry of the list.
func (l *ExecAllow) Permits(argv []string) bool {
	return slices.ContainsFunc(l.entries, func(e []string) bool { return slices.Equal(e, argv) })
}

func parseExecAllow(text string) (*ExecAllow, error) {
	list := new(ExecAllow)
	for number, line := range lines(text) {
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

// checkPath rejects relative paths and paths with "." or ".." elements.
func checkPath(path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" {
		return fmt.Errorf("the command %q is not an absolute path, or contains . or .. elements", path)
	}
	return nil
}

// splitWords splits a line that is not empty.
func splitWords(line string) ([]string, error) {
	var all []string
	for line != "" {
		word, rest, err := firstWord(line)
		if err != nil {
			return nil, err
		}
		if strings.ContainsRune(word, 0) {
			return nil, errors.New("an argument contains a NUL byte")
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
			return "", "", fmt.Errorf("a quote within the word %q: quote the whole word", line)
		}
		return line, rest, nil
	}
	quoted, err := strconv.QuotedPrefix(line)
	if err != nil {
		return "", "", fmt.Errorf("unclosed quotes in %q", line)
	}
	rest = line[len(quoted):]
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return "", "", fmt.Errorf("missing space after %s", quoted)
	}
	word, err = strconv.Unquote(quoted)
	if err != nil {
		return "", "", fmt.Errorf("reading %s: %w", quoted, err)
	}
	return word, rest, nil
}
