package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// expectation is what a response is compared with.
type expectation struct {
	// wanted is the text of the key expect_status.
	wanted string
	status []statusRange
	body   *pattern
	json   []jsonRule
}

type statusRange struct{ from, to int }

func newExpectation(c *httpConfig) (*expectation, error) {
	e := &expectation{wanted: c.ExpectStatus}
	var err error
	if e.status, err = parseStatuses(c.ExpectStatus); err != nil {
		return nil, fmt.Errorf("expect_status: %w", err)
	}
	if c.ExpectBody != "" {
		if e.body, err = newPattern("expect_body", c.ExpectBody); err != nil {
			return nil, err
		}
	}
	if e.json, err = jsonRules("", c.ExpectJSON); err != nil {
		return nil, fmt.Errorf("expect_json: %w", err)
	}
	if (e.body != nil || e.json != nil) && c.Method == http.MethodHead {
		return nil, errors.New("expect_body, expect_json: the answer to HEAD has no body")
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

// jsonRules flattens a table. TOML nests keys that are not quoted; a nested table
// means the same as a flat one.
func jsonRules(prefix string, table map[string]any) ([]jsonRule, error) {
	var rules []jsonRule
	for _, key := range slices.Sorted(maps.Keys(table)) {
		path := prefix + key
		switch v := table[key].(type) {
		case map[string]any:
			inner, err := jsonRules(path+".", v)
			if err != nil {
				return nil, err
			}
			rules = append(rules, inner...)
		case string, bool, float64:
			rules = append(rules, jsonRule{path, v})
		case int64:
			rules = append(rules, jsonRule{path, float64(v)})
		default:
			return nil, fmt.Errorf("%s: want a string, a number, true or false", path)
		}
	}
	return rules, nil
}

// needsBody reports whether the body is compared with anything.
func (e *expectation) needsBody() bool { return e.body != nil || len(e.json) > 0 }

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

// checkBody returns an error for an unexpected body. The error shows nothing of the
// body, which its reader may not be allowed to see.
func (e *expectation) checkBody(ctx context.Context, body []byte) error {
	if e.body != nil {
		found, err := e.body.match(ctx, body)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("the body does not match expect_body %q", printable(e.body.String()))
		}
	}
	if len(e.json) == 0 {
		return nil
	}
	return checkJSON(bytes.NewReader(body), e.json)
}
