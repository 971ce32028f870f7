package monitor

import (
	"errors"
	"fmt"
)

// section is a table whose key "type" names a kind. Its other keys are decoded
// by the kind.
type section struct {
	kind string
	// receiver names a [[receiver]] in place of a kind; actions only.
	receiver string
	tree     map[string]any
	path     string
	line     place
	// named are the files that its keys name, once it is packed.
	named []string
}

// decode moves the keys of the section, but for "type", into target.
func (s section) decode(target any) error {
	return decodeTree(s.tree, s.path, s.line, target)
}

// sectionOf takes the kind out of a table, which it keeps.
func sectionOf(tree map[string]any, path string, line place) (section, error) {
	s := section{path: path, line: line, tree: tree}
	if tree == nil {
		return s, errors.New(`this table is required, with a key "type"`)
	}
	if err := s.take("type", &s.kind); err != nil {
		return s, err
	}
	if s.kind == "" {
		return s, errors.New(`the table needs a key "type"`)
	}
	return s, nil
}

// actionOf takes the kind or the name of a receiver out of a table.
func actionOf(tree map[string]any, path string, line place) (section, error) {
	if _, ok := tree["receiver"]; !ok {
		return sectionOf(tree, path, line)
	}
	s := section{path: path, line: line, tree: tree}
	if len(tree) > 1 {
		return s, errors.New(`a "receiver" stands alone: its keys are those of its [[receiver]]`)
	}
	name, ok := tree["receiver"].(string)
	if !ok || name == "" {
		return s, errors.New(`"receiver" wants the name of a [[receiver]]`)
	}
	s.receiver = name
	return s, nil
}

func (s *section) take(key string, target *string) error {
	v, ok := s.tree[key]
	if !ok {
		return nil
	}
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("%s: want a string, have %s", key, kindOf(v))
	}
	delete(s.tree, key)
	*target = text
	return nil
}
