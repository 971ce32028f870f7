package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// jsonRule wants a value at a path into a JSON document: keys and indexes,
// separated by points. A key may hold points itself.
type jsonRule struct {
	path string
	want any // a string, a bool or a float64
}

// finding is what a document holds at the path of a rule.
type finding struct {
	rule        jsonRule
	found, fits bool
}

// search is what is left of the path to a finding; nothing once it is reached.
type search struct {
	*finding
	rest    string
	reached bool
}

// checkJSON returns an error for a document that breaks a rule. It reads the
// document without keeping it: as a tree of values it would take sixty times its
// size.
func checkJSON(body []byte, rules []jsonRule) error {
	findings := make([]finding, len(rules))
	searches := make([]search, len(rules))
	for i, rule := range rules {
		findings[i].rule = rule
		searches[i] = search{&findings[i], rule.path, false}
	}
	if err := walkJSON(json.NewDecoder(bytes.NewReader(body)), searches); err != nil {
		return errors.New("the body is not JSON")
	}
	for _, f := range findings {
		switch {
		case !f.found:
			return fmt.Errorf("expect_json: %q is not in the body", f.rule.path)
		case !f.fits:
			return fmt.Errorf("expect_json: %q is not %v", f.rule.path, f.rule.want)
		}
	}
	return nil
}

// walkJSON reads one value and looks in it for what the searches want. It goes no
// deeper than their paths.
func walkJSON(d *json.Decoder, searches []search) error {
	if len(searches) == 0 {
		return skipJSON(d)
	}
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		for _, s := range searches {
			if s.reached {
				s.found, s.fits = true, s.fits || token == s.rule.want
			}
		}
		return nil
	}
	for i := 0; d.More(); i++ {
		key := strconv.Itoa(i)
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			key, _ = name.(string)
		}
		if err := walkJSON(d, below(searches, key)); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// below returns the searches that lead below a key.
func below(searches []search, key string) (inner []search) {
	for _, s := range searches {
		n := len(key)
		switch {
		case s.reached || len(s.rest) < n || s.rest[:n] != key:
		case len(s.rest) == n:
			inner = append(inner, search{s.finding, "", true})
		case s.rest[n] == '.':
			inner = append(inner, search{s.finding, s.rest[n+1:], false})
		}
	}
	return inner
}

// skipJSON reads one value.
func skipJSON(d *json.Decoder) error {
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
