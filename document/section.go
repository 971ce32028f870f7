package document

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// section is a table whose key "type" names a kind. Its other keys are decoded
// by the kind.
type Section struct {
	Kind string
	// receiver names a [[receiver]] in place of a kind.
	Receiver string
	Tree     map[string]any
	path     string
	Lines    Lines
	// outer is a struct with the keys of the table around this one, or nil.
	parent any
	// named are the files that its keys name, once it is packed.
	files []string
}

// decode moves the keys of the section, except "type", into target.
func (s Section) Decode(target any) error {
	return decodeNested(s.parent, s.Tree, s.path, s.Lines, target)
}

// within returns the section as part of a table whose keys are those of the struct
// outer, so that a key written below the wrong header is recognized.
func (s Section) WithParent(outer any) Section {
	s.parent = outer
	return s
}

// sectionOf takes the kind out of a table, which it keeps.
func NewSection(tree map[string]any, path string, line Lines) (Section, error) {
	s := Section{path: path, Lines: line, Tree: tree}
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

// actionOf takes the kind or the name of a receiver out of a table.
func NewActionSection(tree map[string]any, path string, line Lines) (Section, error) {
	if _, ok := tree["receiver"]; !ok {
		return NewSection(tree, path, line)
	}
	s := Section{path: path, Lines: line, Tree: tree}
	if len(tree) > 1 {
		return s, errors.New(`a "receiver" stands alone: its keys are those of its [[receiver]]`)
	}
	name, ok := tree["receiver"].(string)
	if !ok || name == "" {
		return s, errors.New(`"receiver" wants the name of a [[receiver]]`)
	}
	s.Receiver = name
	return s, nil
}

// take moves the text of a key into target and the key out of the section.
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

// files returns the files that the keys of the section name, sorted by key.
func (s Section) Files() []string {
	files := s.files
	tls, _ := s.Tree["tls"].(map[string]any)
	for _, table := range []map[string]any{s.Tree, tls} {
		for _, key := range slices.Sorted(maps.Keys(table)) {
			if path, ok := table[key].(string); ok && path != "" && strings.HasSuffix(key, "_file") {
				files = append(files, path)
			}
		}
	}
	return files
}

// packed returns the section with its kind and its files only.
func (s Section) Compact() Section {
	return Section{Kind: s.Kind, Receiver: s.Receiver, files: s.Files()}
}

// withoutLines returns the section with the line of its table for every key, so
// that the lines of the whole document can be freed.
func (s Section) WithoutLines() Section {
	first := s.Lines(s.path)
	s.Lines = func(string) int { return first }
	return s
}

// lineOf returns the line of the key that the message of a kind begins with, or of
// the section.
func (s Section) messageLine(message string) int {
	words := strings.FieldsFunc(message, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	const first = 4 // "tls: reading ca_file" has the key as its third word
	path, table := s.path, s.Tree
	for _, word := range words[:min(first, len(words))] {
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
