package monitor

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/microhq/monitor-srv/document"
)

// Set is what a number of documents define.
type Set struct {
	Monitors  []*Definition
	Receivers []*ReceiverDefinition
	// broken are definitions with a problem already; they are built only to find
	// all others.
	invalid []*Definition
	// wrong are the names of receivers that are not among Receivers because
	// something is wrong with them.
	invalidReceivers []string
}

// ReceiverDefinition is an action that monitors name.
type ReceiverDefinition struct {
	Name, Origin string
	file         string
	action       document.Section
	line         int
}

// Sections returns the names of the lists of tables that Decode takes.
func (s *Set) Sections() []string { return []string{"monitor", "receiver"} }

// Decode adds the monitors and receivers of a document, and returns what is wrong
// with them. One that is wrong spoils no other.
func (s *Set) Decode(doc *document.Document, lists map[string][]map[string]any) []*document.Problem {
	origin := "file:" + filepath.Base(doc.File)
	var problems []*document.Problem
	for i, tree := range lists["receiver"] {
		r, err := receiverOf(tree, fmt.Sprintf("receiver.%d", i), doc.Lines)
		r.Origin, r.file = origin, doc.File
		problems = append(problems, document.ProblemsOf(doc.File, "", err)...)
		switch {
		case err != nil:
			s.invalidReceivers = append(s.invalidReceivers, r.Name)
		case doc.NoCommands != nil && r.action.Kind == kindExec:
			s.invalidReceivers = append(s.invalidReceivers, r.Name)
			problems = append(problems, &document.Problem{File: doc.File, Line: r.line, Err: fmt.Errorf("receiver %q: %w", r.Name, doc.NoCommands)})
		default:
			s.Receivers = append(s.Receivers, r)
		}
	}
	for i, tree := range lists["monitor"] {
		d, err := newDefinition(tree, fmt.Sprintf("monitor.%d", i), doc.Lines)
		d.Origin, d.file, d.Trusted = origin, doc.File, true
		problems = append(problems, document.ProblemsOf(doc.File, d.Name, err)...)
		if err != nil {
			s.invalid = append(s.invalid, d)
			continue
		}
		problems = append(problems, d.warnings(fmt.Sprintf("monitor.%d.", i), doc)...)
		if doc.NoCommands != nil && d.RunsCommands() {
			s.invalid = append(s.invalid, d)
			problems = append(problems, &document.Problem{File: doc.File, Line: d.line, Monitor: d.Name, Err: doc.NoCommands})
			continue
		}
		s.Monitors = append(s.Monitors, d)
	}
	return problems
}

// warnings returns what is allowed and probably not meant. path is that of the
// definition's keys in its document.
func (d *Definition) warnings(path string, doc *document.Document) []*document.Problem {
	var problems []*document.Problem
	warn := func(line int, err error) {
		problems = append(problems, &document.Problem{File: doc.File, Line: line, Monitor: d.Name, Warning: true, Err: err})
	}
	wrong := d.Thresholds.warnings()
	for _, key := range slices.Sorted(maps.Keys(wrong)) {
		warn(doc.Lines(path+key), fmt.Errorf("%s: %w%s", key, wrong[key], d.missingHint("max")))
	}
	if d.lacksBounds() {
		warn(d.line, errors.New("its probe gives a value, and neither min nor max says which values are good: every value but 0 fails"))
	}
	return problems
}

// Finish drops every monitor and receiver whose name was used before, once all
// documents are decoded.
func (s *Set) Finish() []*document.Problem {
	var problems []*document.Problem
	monitors := make(map[string]*Definition)
	s.Monitors = slices.DeleteFunc(s.Monitors, func(d *Definition) bool {
		first, ok := monitors[d.Name]
		if !ok {
			monitors[d.Name] = d
			return false
		}
		problems = append(problems, &document.Problem{
			File: d.file, Line: d.line, Monitor: d.Name,
			Err: fmt.Errorf("the name is used already at %s:%d", first.file, first.line),
		})
		return true
	})
	receivers := make(map[string]*ReceiverDefinition)
	s.Receivers = slices.DeleteFunc(s.Receivers, func(r *ReceiverDefinition) bool {
		first, ok := receivers[r.Name]
		if !ok {
			receivers[r.Name] = r
			return false
		}
		problems = append(problems, &document.Problem{
			File: r.file, Line: r.line,
			Err: fmt.Errorf("receiver %q: the name is used already at %s:%d", r.Name, first.file, first.line),
		})
		return true
	})
	return problems
}

// kindExec is the kind of probe and action that runs commands.
const kindExec = "exec"

func receiverOf(tree map[string]any, path string, line document.Lines) (*ReceiverDefinition, error) {
	r := &ReceiverDefinition{line: line(path)}
	named := document.Section{Tree: maps.Clone(tree)}
	err := named.Take("name", &r.Name)
	switch {
	case err != nil:
	case checkName(r.Name) != nil:
		err = fmt.Errorf("name: %w", checkName(r.Name))
	case isInlineName(r.Name):
		err = errors.New("name: names of this form are given to actions that monitors write out: choose another")
	}
	var kind error
	r.action, kind = document.NewSection(named.Tree, path, line)
	if err = errors.Join(err, kind); err != nil {
		err = document.NewKeyError(path, path, line, fmt.Errorf("receiver %q: %w", r.Name, err))
	}
	return r, err
}
