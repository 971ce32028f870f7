package monitor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/microhq/monitor-srv/document"
)

// Parse reads the TOML text of a file that holds monitors and receivers.
func Parse(file, text string) (Set, []*document.Problem) {
	var set Set
	problems := document.Read(&set, file, text, nil)
	return set, problems
}

// ParseOne reads one definition that came over the API, as JSON if it begins
// with a brace, else as TOML with or without a [[monitor]] around it.
func ParseOne(text string) (*Definition, error) {
	if len(text) > MaxDefinition {
		return nil, fmt.Errorf("the definition is larger than %d bytes", MaxDefinition)
	}
	d, err := parseOne(text)
	if err != nil {
		return nil, err
	}
	d.Origin, d.file, d.text = OriginAPI, "", text
	return d, nil
}

// MaxDefinition is the size of the largest definition that ParseOne takes, in
// bytes.
const MaxDefinition = 64 << 10

// OriginAPI is the Origin of definitions registered at run time.
const OriginAPI = "api"

func parseOne(text string) (*Definition, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		tree, err := document.ReadJSON(text)
		if err != nil {
			return nil, err
		}
		return parsed(newDefinition(tree, "", func(string) int { return 0 }))
	}
	doc, problem := document.Parse("", text)
	if problem != nil {
		return nil, problem
	}
	var set Set
	lists, problems := doc.Lists(set.Sections()...)
	if doc.Tree["monitor"] == nil && doc.Tree["receiver"] == nil {
		return parsed(newDefinition(doc.Tree, "", doc.Lines))
	}
	problems = document.LimitProblems("", append(problems, set.Decode(doc, lists)...))
	if len(set.Monitors) == 1 && !slices.ContainsFunc(problems, document.IsError) && len(set.Receivers) == 0 {
		set.Monitors[0].Trusted = false
		return set.Monitors[0], nil
	}
	errs := make([]error, 0, len(problems)+1)
	for _, p := range problems {
		errs = append(errs, p)
	}
	if len(problems) == 0 {
		errs = append(errs, fmt.Errorf("want one monitor and no receiver, have %d and %d", len(set.Monitors), len(set.Receivers)))
	}
	return nil, errors.Join(errs...)
}

func parsed(d *Definition, err error) (*Definition, error) {
	if err != nil {
		var errs []error
		for _, p := range document.ProblemsOf("", d.Name, err) {
			errs = append(errs, p)
		}
		return nil, errors.Join(errs...)
	}
	return d, nil
}
