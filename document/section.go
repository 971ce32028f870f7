package document

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Section is a table whose key "type" names a kind. The kind decodes the other keys.
type Section struct {
	Kind string
	// Receiver is the name of a [[receiver]], in place of a kind.
	Receiver string
	Tree     map[string]any
	path     string
	Lines    Lines
	// parent is a struct with the keys of the enclosing table, or nil.
	parent any
	// files are those that the keys of a compact section name.
	files []string
}

// Decode decodes the keys of the section, except "type", into the struct that target
// points to.
func (s Section) Decode(target any) error {
	d := &treeDecoder{root: s.path, lines: s.Lines, parent: s.parent}
	return d.decode(s.Tree, target)
}

// WithParent returns the section as part of a table with the keys of the struct
// parent, so that a key below the wrong header is recognized.
func (s Section) WithParent(parent any) Section {
	s.parent = parent
	return s
}

// NewSection returns the section of a table. It removes "type" from tree.
func NewSection(tree map[string]any, path string, lines Lines) (Section, error) {
	s := Section{path: path, Lines: lines, Tree: tree}
	if tree == nil {
		return s, errors.New(`this table is required, with a key "type"`)
	}
	if err := s.Take("type", &s.Kind); err != nil {
		return s, err
	}
	if s.Kind == "" {
		return s, errors.New(`the table needs a key "type"`)
	}
	return s, nil
}

// NewActionSection returns the section of an action, which has a kind or names a
// receiver.
func NewActionSection(tree map[string]any, path string, lines Lines) (Section, error) {
	if _, ok := tree["receiver"]; !ok {
		return NewSection(tree, path, lines)
	}
	s := Section{path: path, Lines: lines, Tree: tree}
	if len(tree) > 1 {
		return s, errors.New(`"receiver" allows no other keys: set them in its [[receiver]]`)
	}
	name, ok := tree["receiver"].(string)
	if !ok || name == "" {
		return s, errors.New(`"receiver" must be the name of a [[receiver]]`)
	}
	s.Receiver = name
	return s, nil
}

// Take moves the string of a key from the section to target.
func (s *Section) Take(key string, target *string) error {
	v, ok := s.Tree[key]
	if !ok {
		return nil
	}
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("%s: want a string, have %s", key, kindOf(v))
	}
	delete(s.Tree, key)
	*target = text
	return nil
}

// Files returns the files that the keys of the section name, sorted by key.
func (s Section) Files() []string {
	files := s.files
	eachFile(s.Tree, func(_ map[string]any, _, path string) { files = append(files, path) })
	return files
}

// Compact returns the section with its kind and its files only.
func (s Section) Compact() Section {
	return Section{Kind: s.Kind, Receiver: s.Receiver, files: s.Files()}
}

// WithoutLines returns the section with the line of its table for every key, which
// frees the lines of the document.
func (s Section) WithoutLines() Section {
	first := s.Lines(s.path)
	s.Lines = func(string) int { return first }
	return s
}

// messageLine returns the line of the key that the error message of a kind starts
// with, or of the section.
func (s Section) messageLine(message string) int {
	words := strings.FieldsFunc(message, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	const most = 4 // the key is the third word of "tls: reading ca_file"
	path, table := s.path, s.Tree
	for _, word := range words[:min(most, len(words))] {
		v, ok := table[word]
		if !ok {
			continue
		}
		path = Join(path, word)
		if table, ok = v.(map[string]any); !ok {
			break
		}
	}
	return s.Lines(path)
}
