package document

import (
	"errors"
	"fmt"
	"strings"
)

// faults decodes a section for the constructor of its kind and collects what is
// wrong with the keys, so that each is reported by itself, with its line.
type SectionDecoder struct {
	section Section
	family  string // such as "probe"
	keys    []error
}

func NewSectionDecoder(s Section, family string) *SectionDecoder {
	return &SectionDecoder{section: s, family: family}
}

// decode moves the keys of the section into target.
func (f *SectionDecoder) Decode(target any) error {
	err := f.section.Decode(target)
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		f.keys = many.Unwrap()
	}
	return err
}

// all returns what is wrong with the keys, or else err, that of the constructor,
// with its line.
func (f *SectionDecoder) Explain(err error) error {
	if len(f.keys) == 0 {
		return &LineError{f.section.messageLine(strings.TrimPrefix(err.Error(), f.family+" "+f.section.Kind+": ")), err}
	}
	var errs []error
	for _, key := range f.keys {
		errs = append(errs, WithLine(f.section, fmt.Errorf("%s %s: %w", f.family, f.section.Kind, key)))
	}
	return errors.Join(errs...)
}

// at gives an error the line of its section, unless it has one of its own.
func WithLine(s Section, err error) error {
	var key *KeyError
	line := s.Lines(s.path)
	if errors.As(err, &key) {
		line = key.line
	}
	return &LineError{line, err}
}

// placedError is an error with its line.
type LineError struct {
	line int
	err  error
}

func (e *LineError) Error() string { return e.err.Error() }
func (e *LineError) Unwrap() error { return e.err }

// unknownKind says that no kind of the family has the name that a section gives.
func UnknownKind(s Section, family string, kinds []string) error {
	path := Join(s.path, "type")
	return WithLine(s, &KeyError{path, path, s.Lines(path), fmt.Errorf("unknown type of %s %q; %s", family, s.Kind, Suggest(s.Kind, kinds))})
}
