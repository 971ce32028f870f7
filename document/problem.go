package document

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Problem is an error or warning about a document.
type Problem struct {
	// File and Line are the place. Line is 0 if it is unknown.
	File string
	Line int
	// Monitor is the name of the definition, or empty.
	Monitor string
	Err     error
	// Warning is true if the definition is used nevertheless.
	Warning bool
}

// Error returns `FILE:LINE: monitor "NAME": ERROR`.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	switch {
	case p.Line > 0 && p.File == "":
		fmt.Fprintf(&b, "line %d", p.Line)
	case p.Line > 0:
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Monitor != "" {
		fmt.Fprintf(&b, "monitor %q: ", p.Monitor)
	}
	b.WriteString(p.Err.Error())
	return b.String()
}

// Unwrap returns Err.
func (p *Problem) Unwrap() error { return p.Err }

// SortProblems orders problems by file, line and text.
func SortProblems(problems []*Problem) {
	slices.SortStableFunc(problems, func(a, b *Problem) int {
		if place := cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line); place != 0 {
			return place
		}
		return strings.Compare(a.Err.Error(), b.Err.Error())
	})
}

// ProblemsOf returns a problem for each of the joined errors, with its line.
func ProblemsOf(file, monitor string, err error) []*Problem {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var problems []*Problem
		for _, err := range many.Unwrap() {
			problems = append(problems, ProblemsOf(file, monitor, err)...)
		}
		return problems
	}
	p := &Problem{File: file, Monitor: monitor, Err: err}
	var key *KeyError
	var withLine *LineError
	switch {
	case errors.As(err, &withLine):
		p.Line = withLine.line
	case errors.As(err, &key):
		p.Line = key.line
	}
	return []*Problem{p}
}

// IsError reports whether a problem is an error and not a warning.
func IsError(p *Problem) bool { return !p.Warning }

// maxProblems bounds the problems that are reported for one document.
const maxProblems = 1000

// LimitProblems returns the first maxProblems problems of a document and one that
// counts the others.
func LimitProblems(file string, problems []*Problem) []*Problem {
	if len(problems) <= maxProblems {
		return problems
	}
	first, others := problems[:maxProblems:maxProblems], problems[maxProblems:]
	return append(first, &Problem{
		File: file, Warning: !slices.ContainsFunc(others, IsError),
		Err: fmt.Errorf("further problems: %d", len(others)),
	})
}
