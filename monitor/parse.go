package monitor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/microhq/monitor-srv/document"
)

// Parse decodes the TOML text of a file of monitors and receivers.
func Parse(file, text string) (Set, []*document.Problem) {
	var set Set
	doc, problem := document.Parse(file, text)
	if problem != nil {
		return set, []*document.Problem{problem}
	}
	return set, doc.Read(context.Background(), &set)
}

// ParseOne decodes one definition from the API: JSON if it starts with a brace,
// else TOML with or without a [[monitor]] header.
func ParseOne(text string) (*Definition, error) {
	if len(text) > MaxDefinition {
		return nil, ErrTooLarge
	}
	d, err := parseOne(text)
	if err != nil {
		return nil, err
	}
	d.Origin, d.file, d.text = OriginAPI, "", text
	return d, nil
}

// MaxDefinition is the largest size of a definition for ParseOne, in bytes.
const MaxDefinition = 64 << 10

// OriginAPI is the Origin of definitions registered at run time.
const OriginAPI = "api"

func parseOne(text string) (*Definition, error) {
	if document.LooksLikeJSON(text) {
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
	problems = document.LimitProblems("", append(problems, set.Decode(context.Background(), doc, lists)...)) // at most MaxDefinition
	if len(set.Monitors) == 1 && !slices.ContainsFunc(problems, document.IsError) && len(set.Receivers) == 0 {
		set.Monitors[0].Trusted = false
		return set.Monitors[0], nil
	}
	if len(problems) == 0 {
		return nil, fmt.Errorf("want one monitor and no receiver, have %d and %d", len(set.Monitors), len(set.Receivers))
	}
	return nil, joinProblems(problems)
}

// parsed adds the place to the errors of a definition.
func parsed(d *Definition, err error) (*Definition, error) {
	if err != nil {
		return nil, joinProblems(document.ProblemsOf("", d.Name, err))
	}
	return d, nil
}

func joinProblems(problems []*document.Problem) error {
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}
