package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// jsonRule expects a value at a path in a JSON document: keys and indexes, separated
// by dots. Keys may contain dots, and a key may occur twice, so a path may lead to
// several values. One that matches is enough.
type jsonRule struct {
	path string
	want any // a string, a bool or a float64
}

// fits reports whether a token is the expected value.
func (r jsonRule) fits(token json.Token) bool {
	number, ok := token.(json.Number)
	if !ok {
		return token == r.want
	}
	v, err := number.Float64()
	return err == nil && v == r.want
}

// wanted returns the expected value in the syntax of JSON.
func (r jsonRule) wanted() string {
	switch want := r.want.(type) {
	case string:
		return strconv.Quote(want)
	case float64:
		return strconv.FormatFloat(want, 'f', -1, 64)
	}
	return fmt.Sprint(r.want)
}

// jsonMatch is what a document holds at the path of a rule.
type jsonMatch struct {
	rule        jsonRule
	found, fits bool
}

// jsonSearch is a jsonMatch and the rest of the path to it.
type jsonSearch struct {
	*jsonMatch
	rest    string
	reached bool
}

// checkJSON returns an error for a document that breaks a rule. It reads the document
// as a stream: a tree of values would take sixty times its size.
func checkJSON(body io.Reader, rules []jsonRule) error {
	findings := make([]jsonMatch, len(rules))
	searches := make([]jsonSearch, len(rules))
	for i, rule := range rules {
		findings[i].rule = rule
		searches[i] = jsonSearch{&findings[i], rule.path, false}
	}
	d := json.NewDecoder(body)
	d.UseNumber() // a number out of range must not end the search
	if err := walkJSON(d, searches); err != nil {
		return errors.New("the body is not JSON")
	}
	for _, f := range findings {
		switch {
		case !f.found:
			return fmt.Errorf("expect_json: %q is not in the body", f.rule.path)
		case !f.fits:
			return fmt.Errorf("expect_json: %q is not %s", f.rule.path, f.rule.wanted())
		}
	}
	return nil
}

// walkJSON reads one value and searches it. It goes no deeper than the paths.
func walkJSON(d *json.Decoder, searches []jsonSearch) error {
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
				s.found, s.fits = true, s.fits || s.rule.fits(token)
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
		if err := walkJSON(d, descend(searches, key)); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// descend returns the searches that continue below a key.
func descend(searches []jsonSearch, key string) (inner []jsonSearch) {
	for _, s := range searches {
		n := len(key)
		switch {
		case s.reached || len(s.rest) < n || s.rest[:n] != key:
		case len(s.rest) == n:
			inner = append(inner, jsonSearch{s.jsonMatch, "", true})
		case s.rest[n] == '.':
			inner = append(inner, jsonSearch{s.jsonMatch, s.rest[n+1:], false})
		}
	}
	return inner
}

// skipJSON reads one value and ignores it.
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
