package action

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// mask replaces a secret in an error.
const mask = "<secret>"

// maskRun is the number of consecutive bytes of a secret that no text may contain.
// Shorter secrets are not searched for: a password "a" would mask half of each word.
const maskRun = 6

// redactor removes secrets from texts. The zero value removes nothing.
type redactor struct {
	runs map[string]bool // all substrings of maskRun bytes of secrets
}

// newRedactor returns a redactor of secrets, also in the forms in which they appear
// in URLs, quoted strings and basic authentication.
func newRedactor(secrets ...string) *redactor {
	r := &redactor{runs: map[string]bool{}}
	for _, s := range secrets {
		if len(s) < maskRun {
			continue
		}
		quoted := strconv.Quote(s)
		for _, form := range []string{
			s, quoted[1 : len(quoted)-1], url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)),
		} {
			r.add(form)
		}
	}
	return r
}

func (r *redactor) add(form string) {
	for i := 0; i+maskRun <= len(form); i++ {
		r.runs[form[i:i+maskRun]] = true
	}
}

// text returns s with every part of a secret replaced by the mask.
func (r *redactor) text(s string) string {
	hidden := make([]bool, len(s))
	found := false
	hide := func(from, to int) {
		found = true
		for i := from; i < to; i++ {
			hidden[i] = true
		}
	}
	for i := range len(s) {
		if i+maskRun <= len(s) && r.runs[s[i:i+maskRun]] {
			hide(i, i+maskRun)
		}
	}
	if !found {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		switch {
		case !hidden[i]:
			b.WriteByte(s[i])
		case i == 0 || !hidden[i-1]:
			b.WriteString(mask)
		}
	}
	return b.String()
}

// err returns err with a redacted text. Of the wrapped errors, only those that
// delivery needs are retained: *Permanent, *RetryAfter and *Unreachable.
func (r *redactor) err(err error) error {
	if err == nil {
		return nil
	}
	text := errors.New(r.text(err.Error()))
	var permanent *Permanent
	if errors.As(err, &permanent) {
		return &Permanent{text}
	}
	var after *RetryAfter
	if errors.As(err, &after) {
		return &RetryAfter{after.After, text}
	}
	var unreachable *Unreachable
	if errors.As(err, &unreachable) {
		return &Unreachable{text}
	}
	return text
}
