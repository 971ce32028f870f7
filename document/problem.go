package document

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a document.
type Problem struct {
	// File and Line say where; Line is 0 if it is not known.
	File string
	Line int
	// Monitor names the definition concerned, or is empty.
	Monitor string
	Err     error
	// Warning is set if the definition runs all the same.
	Warning bool
}

// Error returns `FILE:LINE: monitor "NAME": what is wrong`.
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
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, strings.Compare(a.Err.Error(), b.Err.Error()))
	})
}

// problemsOf splits joined errors into problems with their lines.
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
	var placed *LineError
	switch {
	case errors.As(err, &placed):
		p.Line = placed.line
	case errors.As(err, &key):
		p.Line = key.line
	}
	return []*Problem{p}
}

// isError tells whether a problem keeps something from running.
func IsError(p *Problem) bool { return !p.Warning }

// maxProblems bounds what is reported of one document.
const maxProblems = 1000

// limitProblems returns the first problems of a document and counts the others.
func LimitProblems(file string, problems []*Problem) []*Problem {
	return atMost(maxProblems, file, problems)
}

// atMost keeps the first problems and counts the others.
func atMost(n int, file string, problems []*Problem) []*Problem {
	if len(problems) <= n {
		return problems
	}
	more := &Problem{
		File: file, Warning: !slices.ContainsFunc(problems[n:], IsError),
		Err: fmt.Errorf("further problems: %d", len(problems)-n),
	}
	return append(problems[:n:n], more)
}
