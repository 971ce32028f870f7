package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// jsonRoot is the path of the whole document.
const jsonRoot = "."

// jsonRule expects something of the value at a path in a JSON document: keys and
// indexes, separated by dots. Keys may contain dots, and a key may occur twice, so a
// path may lead to several values. One that matches is enough; for "!=" all must.
type jsonRule struct {
	path string
	// length makes the rule compare the length of a text, a list or an object.
	length bool
	// op is ==, !=, <, <=, > or >=, or one of exists and missing.
	op   string
	want any // a string, a bool, a float64 or nil
}

const (
	exists  = "exists"
	missing = "missing"
)

// subject returns what the rule is about, as it is written in a condition.
func (r jsonRule) subject() string {
	if r.length {
		return "len(" + r.path + ")"
	}
	return r.path
}

// wanted returns what a value must be, or for "!=" must not be, such as "up" or >= 3.
func (r jsonRule) wanted() string {
	want := showToken(r.want)
	if number, ok := r.want.(float64); ok {
		want = strconv.FormatFloat(number, 'f', -1, 64)
	}
	if r.op == "==" || r.op == "!=" {
		return want
	}
	return r.op + " " + want
}

// fits reports whether a value is as expected.
func (r jsonRule) fits(v jsonValue) bool {
	if r.op == exists {
		return true
	}
	token := v.token
	if r.length {
		n, ok := v.len()
		if !ok {
			return false
		}
		token = json.Number(strconv.Itoa(n))
	}
	number, isNumber := token.(json.Number)
	want, wantNumber := r.want.(float64)
	if !isNumber || !wantNumber {
		return (token == r.want) == (r.op == "==") && (r.op == "==" || r.op == "!=")
	}
	got, err := number.Float64()
	return err == nil && compares(got, r.op, want)
}

func compares(a float64, op string, b float64) bool {
	switch op {
	case "==":
		return a == b
	case "!=":
		return a != b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	default:
		return a >= b
	}
}

// jsonValue is a value of a document: a scalar, or the delimiter that begins a list or
// an object, with its length.
type jsonValue struct {
	token  json.Token
	length int
}

// len returns the length of a text in characters, or of a list or object.
func (v jsonValue) len() (n int, ok bool) {
	switch token := v.token.(type) {
	case string:
		return utf8.RuneCountInString(token), true
	case json.Delim:
		return v.length, true
	}
	return 0, false
}

// String returns the value for people.
func (v jsonValue) String() string {
	switch v.token {
	case json.Delim('['):
		return fmt.Sprintf("a list of %d", v.length)
	case json.Delim('{'):
		return fmt.Sprintf("an object of %d", v.length)
	}
	return showToken(v.token)
}

// showToken returns a scalar in the syntax of JSON.
func showToken(token any) string {
	switch token := token.(type) {
	case nil:
		return "null"
	case string:
		return strconv.Quote(printable(token))
	}
	return printable(fmt.Sprint(token))
}

// jsonMatch is what a document holds at the path of a rule.
type jsonMatch struct {
	rule jsonRule
	// found is set if there is a value, fits if one is as expected, and all if each is.
	found, fits, all bool
	value            jsonValue // the last one
}

// see adds a value.
func (m *jsonMatch) see(v jsonValue) {
	fits := m.rule.fits(v)
	m.all = fits && (m.all || !m.found)
	m.found, m.fits, m.value = true, m.fits || fits, v
}

// check returns an error for what breaks its rule. The error contains the value if it
// may be shown.
func (m *jsonMatch) check(show bool) error {
	r, fits := m.rule, m.fits
	if r.op == "!=" {
		fits = m.all
	}
	switch {
	case r.op == missing && !m.found, m.found && fits:
		return nil
	case r.op == missing:
		return fmt.Errorf("expect_json: %q is in the body", r.path)
	case !m.found:
		return fmt.Errorf("expect_json: %q is not in the body", r.path)
	case r.op == "!=":
		return fmt.Errorf("expect_json: %q is %s", r.subject(), r.wanted())
	case show:
		return fmt.Errorf("expect_json: %q is not %s but %s", r.subject(), r.wanted(), m.value)
	}
	return fmt.Errorf("expect_json: %q is not %s", r.subject(), r.wanted())
}

// jsonNumber returns the number at the place of a rule, or the length that it asks for.
// A text that is a number counts as one.
func jsonNumber(read page, rule jsonRule) (float64, error) {
	matches, err := searchJSON(bytes.NewReader(read.text), []jsonRule{rule})
	if err != nil {
		return 0, read.withText(err)
	}
	m := matches[0]
	if !m.found {
		return 0, read.withText(fmt.Errorf("json: %q is not in the body", rule.path))
	}
	if rule.length {
		if n, ok := m.value.len(); ok {
			return float64(n), nil
		}
	} else if number, ok := m.value.token.(json.Number); ok {
		v, err := ParseValue(number.String())
		if err != nil {
			return 0, fmt.Errorf("json: %q %w", rule.path, err)
		}
		return v, nil
	} else if text, ok := m.value.token.(string); ok {
		if v, err := ParseValue(text); err == nil {
			return v, nil
		}
	}
	if !read.show {
		return 0, fmt.Errorf("json: %q is not a number", rule.subject())
	}
	return 0, fmt.Errorf("json: %q is not a number but %s", rule.subject(), m.value)
}

// jsonSearch is a jsonMatch and the rest of the path to it.
type jsonSearch struct {
	*jsonMatch
	rest    string
	reached bool
}

// searchJSON finds what a document holds at the paths of rules. It reads the document
// as a stream: a tree of values would take sixty times its size.
func searchJSON(body io.Reader, rules []jsonRule) ([]jsonMatch, error) {
	matches := make([]jsonMatch, len(rules))
	searches := make([]jsonSearch, len(rules))
	for i, rule := range rules {
		matches[i].rule = rule
		searches[i] = jsonSearch{&matches[i], rule.path, rule.path == jsonRoot}
	}
	d := json.NewDecoder(body)
	d.UseNumber() // a number out of range must not end the search
	if err := walkJSON(d, searches); err != nil {
		return nil, errors.New("the body is not JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the body is not JSON: something follows its end")
	}
	return matches, nil
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
	v := jsonValue{token: token}
	if open, ok := token.(json.Delim); ok {
		for ; d.More(); v.length++ {
			key := strconv.Itoa(v.length)
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
		if _, err = d.Token(); err != nil {
			return err
		}
	}
	for _, s := range searches {
		if s.reached {
			s.see(v)
		}
	}
	return nil
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
