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
	var problems []*Problem
	for _, err := range split(err) {
		p := &Problem{File: file, Monitor: monitor, Err: err}
		var key *KeyError
		var withLine *LineError
		switch {
		case errors.As(err, &withLine):
			p.Line = withLine.line
		case errors.As(err, &key):
			p.Line = key.line
		}
		problems = append(problems, p)
	}
	return problems
}

// split returns the errors that are joined in err.
func split(err error) []error {
	many, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return []error{err}
	}
	var all []error
	for _, err := range many.Unwrap() {
		all = append(all, split(err)...)
	}
	return all
}

// FirstErrors returns the first errors that are joined in err, and one that counts the
// others. Their texts are not computed.
func FirstErrors(err error, most int) error {
	all := split(err)
	if len(all) <= most {
		return err
	}
	return errors.Join(append(all[:most:most], fmt.Errorf("and %d more", len(all)-most))...)
}

// IsError reports whether a problem is an error and not a warning.
func IsError(p *Problem) bool { return !p.Warning }

// MaxProblems bounds the problems of one document that are reported. The rest of a
// document with as many errors is not checked.
const MaxProblems = 1000

// CountErrors returns the number of problems that are errors.
func CountErrors(problems []*Problem) int {
	n := 0
	for _, p := range problems {
		if IsError(p) {
			n++
		}
	}
	return n
}

// LimitProblems returns the first MaxProblems problems of a document, and one that
// says that there are more.
func LimitProblems(file string, problems []*Problem) []*Problem {
	switch {
	case CountErrors(problems) >= MaxProblems:
		return append(problems[:min(len(problems), MaxProblems):MaxProblems], TooMany(file))
	case len(problems) > MaxProblems:
		first, others := problems[:MaxProblems:MaxProblems], problems[MaxProblems:]
		return append(first, &Problem{
			File: file, Warning: !slices.ContainsFunc(others, IsError),
			Err: fmt.Errorf("further problems: %d", len(others)),
		})
	}
	return problems
}

// TooMany returns the problem of a document that was not checked to its end.
func TooMany(file string) *Problem {
	return &Problem{File: file, Err: fmt.Errorf("at least %d errors: the rest of the file is not checked; correct these first", MaxProblems)}
}
