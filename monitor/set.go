package monitor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/microhq/monitor-srv/document"
)

// kindExec is the kind of probe and action that runs commands.
const kindExec = "exec"

// Set holds the monitors and receivers of documents.
type Set struct {
	Monitors  []*Definition
	Receivers []*ReceiverDefinition
	// invalid are definitions with an error. They are built once to find all others.
	invalid []*Definition
	// invalidReceivers are the names of receivers with an error.
	invalidReceivers []string
}

// ReceiverDefinition is a named action, which monitors refer to.
type ReceiverDefinition struct {
	Name, Origin string
	file         string
	action       document.Section
	line         int
}

// Sections returns the names of the lists of tables that Decode takes.
func (s *Set) Sections() []string { return []string{"monitor", "receiver"} }

// Decode adds the monitors and receivers of a document and returns their errors. An
// invalid one affects no other, unless there are document.MaxProblems.
func (s *Set) Decode(ctx context.Context, doc *document.Document, lists map[string][]map[string]any) []*document.Problem {
	var problems []*document.Problem
	wrong := 0
	decode := func(list string, one func(doc *document.Document, tree map[string]any, path string) []*document.Problem) {
		for i, tree := range lists[list] {
			if wrong >= document.MaxProblems || ctx.Err() != nil {
				return
			}
			found := one(doc, tree, fmt.Sprintf("%s.%d", list, i))
			wrong += document.CountErrors(found)
			problems = append(problems, found...)
		}
	}
	decode("receiver", s.decodeReceiver)
	decode("monitor", s.decodeMonitor)
	return problems
}

func (s *Set) decodeReceiver(doc *document.Document, tree map[string]any, path string) []*document.Problem {
	doc.ResolveFiles(tree)
	r, err := newReceiverDefinition(tree, path, doc.Lines)
	r.Origin, r.file = originOf(doc), doc.File
	switch {
	case err != nil:
		s.invalidReceivers = append(s.invalidReceivers, r.Name)
		return document.ProblemsOf(doc.File, "", err)
	case doc.NoCommands != nil && r.action.Kind == kindExec:
		s.invalidReceivers = append(s.invalidReceivers, r.Name)
		return []*document.Problem{{File: doc.File, Line: r.line, Err: fmt.Errorf("receiver %q: %w", r.Name, doc.NoCommands)}}
	}
	s.Receivers = append(s.Receivers, r)
	return nil
}

func (s *Set) decodeMonitor(doc *document.Document, tree map[string]any, path string) []*document.Problem {
	actions, _ := tree["actions"].([]any)
	doc.ResolveFiles(append([]any{tree["probe"]}, actions...)...)
	d, err := newDefinition(tree, path, doc.Lines)
	d.Origin, d.file, d.Trusted = originOf(doc), doc.File, true
	if err != nil {
		s.invalid = append(s.invalid, d)
		return document.ProblemsOf(doc.File, d.Name, err)
	}
	problems := d.warnings(path, doc)
	if doc.NoCommands != nil && d.RunsCommands() {
		s.invalid = append(s.invalid, d)
		return append(problems, &document.Problem{File: doc.File, Line: d.line, Monitor: d.Name, Err: doc.NoCommands})
	}
	s.Monitors = append(s.Monitors, d)
	return problems
}

func originOf(doc *document.Document) string { return "file:" + filepath.Base(doc.File) }

// warnings returns valid settings that are probably mistakes. path is that of the
// definition in its document.
func (d *Definition) warnings(path string, doc *document.Document) []*document.Problem {
	var problems []*document.Problem
	warn := func(line int, err error) {
		problems = append(problems, &document.Problem{File: doc.File, Line: line, Monitor: d.Name, Warning: true, Err: err})
	}
	thresholds := d.Thresholds.warnings()
	for _, key := range slices.Sorted(maps.Keys(thresholds)) {
		warn(doc.Lines(document.Join(path, key)), fmt.Errorf("%s: %w%s", key, thresholds[key], d.missingHint("max")))
	}
	if d.lacksBounds() {
		text := "the probe returns a value, but neither min nor max is set: every value except 0 fails"
		if d.probe.Tree["query"] != nil {
			text += "; to test only that the database answers, leave out query"
		}
		warn(d.line, errors.New(text))
	}
	return problems
}

// Finish drops every monitor and receiver whose name is already in use. It is
// called after the last Decode.
func (s *Set) Finish() []*document.Problem {
	var problems []*document.Problem
	wrong := make(map[string]int) // by file
	report := func(p *document.Problem) {
		switch wrong[p.File]++; {
		case wrong[p.File] <= document.MaxProblems:
			problems = append(problems, p)
		case wrong[p.File] == document.MaxProblems+1:
			problems = append(problems, document.TooMany(p.File))
		}
	}
	monitors := make(map[string]*Definition)
	s.Monitors = slices.DeleteFunc(s.Monitors, func(d *Definition) bool {
		first, duplicate := monitors[d.Name]
		if duplicate {
			report(&document.Problem{
				File: d.file, Line: d.line, Monitor: d.Name,
				Err: fmt.Errorf("%w at %s:%d", ErrExists, first.file, first.line),
			})
			return true
		}
		monitors[d.Name] = d
		return false
	})
	receivers := make(map[string]*ReceiverDefinition)
	s.Receivers = slices.DeleteFunc(s.Receivers, func(r *ReceiverDefinition) bool {
		first, duplicate := receivers[r.Name]
		if duplicate {
			report(&document.Problem{
				File: r.file, Line: r.line,
				Err: fmt.Errorf("receiver %q: %w at %s:%d", r.Name, ErrExists, first.file, first.line),
			})
			return true
		}
		receivers[r.Name] = r
		return false
	})
	return problems
}

// newReceiverDefinition decodes the [[receiver]] at path. The definition is not nil
// even if it is invalid.
func newReceiverDefinition(tree map[string]any, path string, lines document.Lines) (*ReceiverDefinition, error) {
	r := &ReceiverDefinition{line: lines(path)}
	rest := document.Section{Tree: maps.Clone(tree)}
	err := rest.Take("name", &r.Name)
	switch {
	case err != nil:
	case checkName(r.Name) != nil:
		err = fmt.Errorf("name: %w", checkName(r.Name))
	case isInlineName(r.Name):
		err = errors.New("name: names of this form are reserved for inline actions: choose another")
	}
	var kindErr error
	r.action, kindErr = document.NewSection(rest.Tree, path, lines)
	if err = errors.Join(err, kindErr); err != nil {
		err = document.NewKeyError(path, path, lines, fmt.Errorf("receiver %q: %w", r.Name, err))
	}
	return r, err
}
