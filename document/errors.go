package document

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// KeyError is an error of one key, with its path and line.
type KeyError struct {
	// Path starts with root, which the message leaves out.
	Path, root string
	line       int
	err        error
}

// NewKeyError returns an error of the key at path. Its message has the part of path
// below root.
func NewKeyError(path, root string, lines Lines, err error) *KeyError {
	return &KeyError{Path: path, root: root, line: lines(path), err: err}
}

func (e *KeyError) Error() string {
	name := strings.TrimPrefix(strings.TrimPrefix(e.Path, e.root), ".")
	if name == "" {
		return e.err.Error()
	}
	var b strings.Builder
	for i, part := range strings.Split(name, ".") {
		switch _, err := strconv.Atoi(part); {
		case err == nil && i > 0:
			part = "[" + part + "]" // an index of a list, from 0
		case i > 0:
			part = "." + part
		}
		b.WriteString(part)
	}
	return fmt.Sprintf("%s: %v", &b, e.err)
}

// Unwrap returns the error without the key.
func (e *KeyError) Unwrap() error { return e.err }

// LineError is an error with its line.
type LineError struct {
	line int
	err  error
}

func (e *LineError) Error() string { return e.err.Error() }

// Unwrap returns the error without the line.
func (e *LineError) Unwrap() error { return e.err }

// WithLine adds the line of the section to an error, or that of a key if err is a
// KeyError.
func WithLine(s Section, err error) error {
	var key *KeyError
	line := s.Lines(s.path)
	if errors.As(err, &key) {
		line = key.line
	}
	return &LineError{line, err}
}

// UnknownKind returns the error for a section whose kind is not one of kinds.
func UnknownKind(s Section, family string, kinds []string) error {
	path := Join(s.path, "type")
	kind := s.Kind
	hint := func() string { return Suggest(kind, kinds) }
	return WithLine(s, NewKeyError(path, path, s.Lines, &hintedError{fmt.Sprintf("unknown type of %s %q", family, kind), hint}))
}
