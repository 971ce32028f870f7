package probe

import (
	"context"
	"fmt"
)

// replyRule says what a text must match, and what it must not match. The zero
// value expects nothing.
type replyRule struct{ expect, forbidden *pattern }

// newReplyRule compiles the keys expect and expect_not.
func newReplyRule(expect, expectNot string) (r replyRule, err error) {
	if expect != "" {
		if r.expect, err = newPattern("expect", expect); err != nil {
			return r, err
		}
	}
	if expectNot != "" {
		r.forbidden, err = newPattern("expect_not", expectNot)
	}
	return r, err
}

// judge returns an error if the text is not as expected. The error shows its first
// line, unless that is to be hidden.
func (r replyRule) judge(ctx context.Context, text string, hidden bool) error {
	shown := ""
	if !hidden {
		shown = fmt.Sprintf(": %q", firstLine([]byte(text)))
	}
	if r.forbidden != nil {
		switch found, err := r.forbidden.match(ctx, []byte(text)); {
		case err != nil:
			return err
		case found:
			return fmt.Errorf("the answer matches expect_not %q%s", printable(r.forbidden.String()), shown)
		}
	}
	if r.expect != nil {
		switch found, err := r.expect.match(ctx, []byte(text)); {
		case err != nil:
			return err
		case !found:
			return fmt.Errorf("the answer does not match expect %q%s", printable(r.expect.String()), shown)
		}
	}
	return nil
}
