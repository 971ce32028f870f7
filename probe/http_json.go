package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// jsonRule wants a value at a path into a JSON document: keys and indexes,
// separated by points. A key may hold points itself. Where the path leads to several
// values, which takes such keys or one that is there twice, one that fits is enough.
type jsonRule struct {
	path string
	want any // a string, a bool or a float64
}

// fits reports whether a token is what is wanted.
func (r jsonRule) fits(token json.Token) bool {
	number, ok := token.(json.Number)
	if !ok {
		return token == r.want
	}
	v, err := number.Float64()
	return err == nil && v == r.want
}

// wanted returns what is wanted as JSON writes it, nearly.
func (r jsonRule) wanted() string {
	switch want := r.want.(type) {
	case string:
		return strconv.Quote(want)
	case float64:
		return strconv.FormatFloat(want, 'f', -1, 64)
	}
	return fmt.Sprint(r.want)
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
func checkJSON(body io.Reader, rules []jsonRule) error {
	findings := make([]finding, len(rules))
	searches := make([]search, len(rules))
	for i, rule := range rules {
		findings[i].rule = rule
		searches[i] = search{&findings[i], rule.path, false}
	}
	d := json.NewDecoder(body)
	d.UseNumber() // one that is too large for us keeps no other from being found
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
