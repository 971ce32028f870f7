package probe

import (
	"context"
	"fmt"
	"strings"
)

// replyRule says what a reply must match, and what it must not match. The zero value
// expects nothing.
type replyRule struct{ expect, forbidden *replyPattern }

// replyPattern matches text, or bytes if it names one: \xff in it is that byte.
type replyPattern struct {
	*pattern

	bytewise bool
}

func newReplyPattern(key, text string) (*replyPattern, error) {
	p, err := newPattern(key, text)
	return &replyPattern{p, strings.Contains(text, `\x`)}, err
}

func (p *replyPattern) match(ctx context.Context, said []byte) (bool, error) {
	if p.bytewise {
		runes := make([]rune, len(said))
		for i, c := range said {
			runes[i] = rune(c)
		}
		said = []byte(string(runes))
	}
	return p.pattern.match(ctx, said)
}

// newReplyRule compiles the keys expect and expect_not.
func newReplyRule(expect, expectNot string) (r replyRule, err error) {
	if expect != "" {
		if r.expect, err = newReplyPattern("expect", expect); err != nil {
			return r, err
		}
	}
	if expectNot != "" {
		r.forbidden, err = newReplyPattern("expect_not", expectNot)
	}
	return r, err
}

func (r replyRule) isSet() bool { return r.expect != nil || r.forbidden != nil }

// judge returns an error if the reply is not as expected. The error shows its first
// line, unless that is to be hidden.
func (r replyRule) judge(ctx context.Context, said []byte, hidden bool) error {
	if err := r.refuse(ctx, said, hidden); err != nil || r.expect == nil {
		return err
	}
	found, err := r.expect.match(ctx, said)
	if err == nil && !found {
		err = fmt.Errorf("the answer does not match expect %q%s", printable(r.expect.String()), quotedReply(said, hidden))
	}
	return err
}

// refuse returns an error if the reply matches what it must not match.
func (r replyRule) refuse(ctx context.Context, said []byte, hidden bool) error {
	if r.forbidden == nil {
		return nil
	}
	found, err := r.forbidden.match(ctx, said)
	if err == nil && found {
		err = fmt.Errorf("the answer matches expect_not %q%s", printable(r.forbidden.String()), quotedReply(said, hidden))
	}
	return err
}

func quotedReply(said []byte, hidden bool) string {
	if hidden {
		return ""
	}
	return fmt.Sprintf(": %q", firstLine(said))
}
