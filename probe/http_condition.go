package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// jsonKey is the key expect_json: a table of paths and values, or a list of conditions.
type jsonKey struct{ tree any }

// UnmarshalTOML accepts what AcceptsTOML does.
func (k *jsonKey) UnmarshalTOML(v any) error {
	if want, ok := k.AcceptsTOML(v); !ok {
		return fmt.Errorf("want %s", want)
	}
	k.tree = v
	return nil
}

// AcceptsTOML reports whether v has a type that UnmarshalTOML accepts, and describes
// these types.
func (k *jsonKey) AcceptsTOML(v any) (expected string, ok bool) {
	switch v.(type) {
	case map[string]any, []any:
		ok = true
	}
	return `a table such as { status = "up" } or a list such as ["len(items) > 0"]`, ok
}

// rules returns the rules, or an error of one.
func (k jsonKey) rules() ([]jsonRule, error) {
	table, ok := k.tree.(map[string]any)
	if ok {
		return tableRules("", table)
	}
	list, _ := k.tree.([]any)
	var rules []jsonRule
	for _, item := range list {
		text, ok := item.(string)
		if !ok {
			return nil, errors.New(`want a list of conditions such as "len(items) > 0"`)
		}
		rule, err := parseCondition(text)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", printable(text), err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// tableRules flattens a table. TOML nests keys that are not quoted; a nested table
// means the same as a flat one.
func tableRules(prefix string, table map[string]any) ([]jsonRule, error) {
	var rules []jsonRule
	for _, key := range slices.Sorted(maps.Keys(table)) {
		path := prefix + key
		switch v := table[key].(type) {
		case map[string]any:
			inner, err := tableRules(path+".", v)
			if err != nil {
				return nil, err
			}
			rules = append(rules, inner...)
		case string, bool, float64:
			rules = append(rules, jsonRule{path: path, op: "==", want: v})
		case int64:
			rules = append(rules, jsonRule{path: path, op: "==", want: float64(v)})
		default:
			return nil, fmt.Errorf("%s: want a string, a number, true or false", path)
		}
	}
	return rules, nil
}

// parseCondition parses PATH, !PATH, or PATH OPERATOR VALUE, where len(PATH) may stand
// for PATH, and VALUE is one of JSON.
func parseCondition(text string) (jsonRule, error) {
	text = strings.TrimSpace(text)
	if path, ok := strings.CutPrefix(text, "!"); ok {
		r, err := parseSubject(path)
		if err == nil && (r.length || strings.ContainsAny(path, "=<>")) {
			err = errors.New("after ! want a path alone, which must not exist")
		}
		r.op = missing
		return r, err
	}
	i := strings.IndexAny(text, "=!<>")
	if i < 0 {
		return parseSubject(text)
	}
	r, err := parseSubject(text[:i])
	if err != nil {
		return r, err
	}
	rest := text[i:]
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">", ""} {
		value, ok := strings.CutPrefix(rest, op)
		if op == "" {
			return r, errors.New("want one of == != < <= > >= between a path and a value")
		}
		if ok {
			r.op = op
			r.want, err = parseWanted(strings.TrimSpace(value))
			break
		}
	}
	if _, number := r.want.(float64); err == nil && !number && (r.length || r.op != "==" && r.op != "!=") {
		err = fmt.Errorf("want a number after %s", r.op)
	}
	return r, err
}

// parseSubject parses PATH or len(PATH) and returns a rule that it exists.
func parseSubject(text string) (jsonRule, error) {
	r := jsonRule{path: strings.TrimSpace(text), op: exists}
	if inner, ok := strings.CutPrefix(r.path, "len("); ok && strings.HasSuffix(inner, ")") {
		r.path, r.length = strings.TrimSpace(strings.TrimSuffix(inner, ")")), true
	}
	if r.path == "" {
		return r, errors.New("want a path such as items.0.state, or . for the whole body")
	}
	return r, nil
}

func parseWanted(text string) (any, error) {
	if n := len(text); n >= 2 && text[0] == '\'' && text[n-1] == '\'' {
		return text[1 : n-1], nil
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return nil, errors.New("want a number, true, false, null, or a text in quotes behind the operator")
	}
	switch v.(type) {
	case map[string]any, []any:
		return nil, errors.New("a list or an object cannot be compared")
	}
	return v, nil
}
