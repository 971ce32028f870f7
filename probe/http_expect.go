package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// expectation is what a response is compared with.
type expectation struct {
	// wanted is the text of the key expect_status.
	wanted string
	status []statusRange
	// body must match, notBody must not; nil for no condition.
	body, notBody *pattern
	json          []jsonRule
}

type statusRange struct{ from, to int }

func newExpectation(c *httpConfig) (*expectation, error) {
	e := &expectation{wanted: c.ExpectStatus}
	var err error
	if e.status, err = parseStatuses(c.ExpectStatus); err != nil {
		return nil, fmt.Errorf("expect_status: %w", err)
	}
	if e.body, err = optionalPattern("expect_body", c.ExpectBody); err != nil {
		return nil, err
	}
	if e.notBody, err = optionalPattern("expect_not_body", c.ExpectNotBody); err != nil {
		return nil, err
	}
	if e.json, err = c.ExpectJSON.rules(); err != nil {
		return nil, fmt.Errorf("expect_json: %w", err)
	}
	if e.needsBody() && c.Method == http.MethodHead {
		return nil, errors.New("expect_body, expect_not_body, expect_json: the answer to HEAD has no body")
	}
	return e, nil
}

// parseStatuses parses a list such as "200-299,401".
func parseStatuses(text string) ([]statusRange, error) {
	var list []statusRange
	for part := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		from, errFrom := strconv.Atoi(strings.TrimSpace(low))
		to, errTo := strconv.Atoi(strings.TrimSpace(high))
		if errFrom != nil || errTo != nil || from < 100 || to > 599 || from > to {
			return nil, fmt.Errorf("%q is not a list of codes from 100 to 599 such as \"200-299,401\"", printable(text))
		}
		list = append(list, statusRange{from, to})
	}
	return list, nil
}

// needsBody reports whether the body is compared with anything.
func (e *expectation) needsBody() bool { return e.onlyPatterns() || len(e.json) > 0 }

// onlyPatterns reports whether the body is compared with regular expressions only, for
// which a part of it will do.
func (e *expectation) onlyPatterns() bool {
	return (e.body != nil || e.notBody != nil) && len(e.json) == 0
}

// onlyMustMatch reports whether the only condition on the body is that it matches, which
// more text never changes.
func (e *expectation) onlyMustMatch() bool { return e.onlyPatterns() && e.notBody == nil }

// checkStatus returns an error for an unexpected status code.
func (e *expectation) checkStatus(resp *http.Response, following bool) error {
	code := resp.StatusCode
	for _, r := range e.status {
		if r.from <= code && code <= r.to {
			return nil
		}
	}
	if code >= 300 && code < 400 && resp.Header.Get("Location") != "" && !following {
		return fmt.Errorf("status %d, want %s (redirects are not followed)", code, e.wanted)
	}
	return fmt.Errorf("status %d, want %s", code, e.wanted)
}

// checkBody returns an error for an unexpected body.
func (e *expectation) checkBody(ctx context.Context, read page) error {
	if e.body != nil {
		found, err := e.body.match(ctx, read.text)
		if err != nil {
			return err
		}
		if !found {
			return e.mismatch(read)
		}
	}
	if e.notBody != nil {
		found, err := e.notBody.match(ctx, read.text)
		if err != nil {
			return err
		}
		if found {
			return read.withText(fmt.Errorf("the body matches expect_not_body %q", printable(e.notBody.String())))
		}
	}
	return e.checkJSON(read)
}

func (e *expectation) mismatch(read page) error {
	wanted := printable(e.body.String())
	if read.cut != "" {
		return read.withText(fmt.Errorf("the body %s, and its start does not match expect_body %q", read.cut, wanted))
	}
	return read.withText(fmt.Errorf("the body does not match expect_body %q", wanted))
}

func (e *expectation) checkJSON(read page) error {
	if len(e.json) == 0 {
		return nil
	}
	matches, err := searchJSON(bytes.NewReader(read.text), e.json)
	if err != nil {
		return read.withText(err)
	}
	for _, m := range matches {
		if err := m.check(read.show); err != nil {
			return err
		}
	}
	return nil
}
