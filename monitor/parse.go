package monitor

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Parse reads the TOML text of a file.
func Parse(file, text string) (Set, []*Problem) {
	tree := make(map[string]any)
	if line, err := checkNesting(text); err != nil {
		return Set{}, []*Problem{{File: file, Line: line, Err: err}}
	}
	if _, err := toml.Decode(text, &tree); err != nil {
		return Set{}, []*Problem{syntaxProblem(file, text, err)}
	}
	line := linesOf(text)
	top := struct {
		Monitor  []map[string]any `toml:"monitor"`
		Receiver []map[string]any `toml:"receiver"`
	}{}
	set := Set{tree: plainTree(tree).(map[string]any)}
	problems := problemsOf(file, "", decodeTree(set.tree, "", line, &top))
	origin := "file:" + filepath.Base(file)
	for i, tree := range top.Receiver {
		r, err := receiverOf(tree, fmt.Sprintf("receiver.%d", i), line)
		r.Origin, r.file = origin, file
		problems = append(problems, problemsOf(file, "", err)...)
		if err != nil {
			set.wrong = append(set.wrong, r.Name)
			continue
		}
		set.Receivers = append(set.Receivers, r)
	}
	for i, tree := range top.Monitor {
		d, err := define(tree, fmt.Sprintf("monitor.%d", i), line)
		d.Origin, d.file, d.Trusted = origin, file, true
		problems = append(problems, problemsOf(file, d.Name, err)...)
		if err != nil {
			set.broken = append(set.broken, d)
			continue
		}
		set.Monitors = append(set.Monitors, d)
		wrong := d.Thresholds.pointless()
		for _, key := range slices.Sorted(maps.Keys(wrong)) {
			at := fmt.Sprintf("monitor.%d.%s", i, key)
			problems = append(problems, &Problem{File: file, Line: line(at), Monitor: d.Name, Warning: true, Err: fmt.Errorf("%s: %w%s", key, wrong[key], d.without("max"))})
		}
		if d.boundless() {
			problems = append(problems, &Problem{File: file, Line: d.line, Monitor: d.Name, Warning: true,
				Err: errors.New("its probe gives a value, and neither min nor max says which values are good: every value but 0 fails")})
		}
	}
	return set, atMost(maxProblems, file, problems)
}

// maxProblems bounds what is told of one document.
const maxProblems = 1000

// atMost keeps the first problems and counts the others.
func atMost(n int, file string, problems []*Problem) []*Problem {
	if len(problems) <= n {
		return problems
	}
	more := &Problem{
		File: file, Warning: !slices.ContainsFunc(problems[n:], isError),
		Err: fmt.Errorf("further problems: %d", len(problems)-n),
	}
	return append(problems[:n:n], more)
}

// ParseOne reads one definition that came over the API, as JSON if it begins
// with a brace, else as TOML with or without a [[monitor]] around it.
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

func isError(p *Problem) bool { return !p.Warning }

// MaxDefinition is the size of the largest definition that ParseOne takes, in
// bytes.
const MaxDefinition = 64 << 10

// OriginAPI is the Origin of definitions registered at run time.
const OriginAPI = "api"

func parseOne(text string) (*Definition, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		tree, err := jsonTree(text)
		if err != nil {
			return nil, err
		}
		return named(define(tree, "", func(string) int { return 0 }))
	}
	set, problems := Parse("", text)
	if set.tree == nil {
		return nil, problems[0]
	}
	if len(set.Monitors) == 1 && !slices.ContainsFunc(problems, isError) && len(set.Receivers) == 0 {
		set.Monitors[0].Trusted = false
		return set.Monitors[0], nil
	}
	if set.tree["monitor"] == nil && set.tree["receiver"] == nil {
		return named(define(set.tree, "", linesOf(text)))
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

func named(d *Definition, err error) (*Definition, error) {
	if err != nil {
		var errs []error
		for _, p := range problemsOf("", d.Name, err) {
			errs = append(errs, p)
		}
		return nil, errors.Join(errs...)
	}
	return d, nil
}

// plainTree turns what the TOML parser gives into the types that decodeTree
// knows.
func plainTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = plainTree(e)
		}
		return m
	case []map[string]any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = plainTree(e)
		}
		return l
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = plainTree(e)
		}
		return l
	}
	return v
}

func receiverOf(tree map[string]any, path string, line place) (*ReceiverDefinition, error) {
	r := &ReceiverDefinition{line: line(path)}
	named := section{tree: maps.Clone(tree)}
	err := named.take("name", &r.Name)
	switch {
	case err != nil:
	case checkName(r.Name) != nil:
		err = fmt.Errorf("name: %w", checkName(r.Name))
	case reserved(r.Name):
		err = errors.New("name: names of this form are given to actions that monitors write out: choose another")
	}
	var kind error
	r.action, kind = sectionOf(named.tree, path, line)
	if err = errors.Join(err, kind); err != nil {
		err = &keyError{path, path, r.line, fmt.Errorf("receiver %q: %w", r.Name, err)}
	}
	return r, err
}
