package document

import (
	"errors"
	"strings"
)

// SectionDecoder decodes a section for the constructor of its kind. It records the
// errors of the keys, so that each is reported with its line.
type SectionDecoder struct {
	section Section
	family  string // such as "probe"
	keys    []error
}

// NewSectionDecoder returns a decoder for a section of a family such as "probe".
func NewSectionDecoder(s Section, family string) *SectionDecoder {
	return &SectionDecoder{section: s, family: family}
}

// Decode decodes the keys of the section into the struct that target points to.
func (d *SectionDecoder) Decode(target any) error {
	err := d.section.Decode(target)
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		d.keys = many.Unwrap()
	}
	return err
}

// Explain returns the errors of the keys, or else err, which the constructor has
// returned, with lines.
func (d *SectionDecoder) Explain(err error) error {
	if len(d.keys) == 0 {
		return &LineError{d.section.messageLine(strings.TrimPrefix(err.Error(), d.family+" "+d.section.Kind+": ")), err}
	}
	var errs []error
	for _, key := range d.keys {
		errs = append(errs, WithLine(d.section, &kindError{d.family, d.section.Kind, key}))
	}
	return errors.Join(errs...)
}

// kindError is an error of the keys of a kind. Unlike one of fmt.Errorf it has no text
// until it is shown.
type kindError struct {
	family, kind string
	err          error
}

func (e *kindError) Error() string { return e.family + " " + e.kind + ": " + e.err.Error() }

func (e *kindError) Unwrap() error { return e.err }
