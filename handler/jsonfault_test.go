package handler

import (
	"strings"
	"testing"
)

func TestRequestsThatCannotBeDecodedAreExplainedInPlainWords(t *testing.T) {
	p := serve(t, monitored(t, nil))
	const whole = "want a whole number from -9223372036854775808 to 9223372036854775807, have "
	for _, c := range []struct{ method, request, want string }{
		{"Monitors", `{"limit": 18446744073709551615}`, "limit: " + whole + "18446744073709551615"},
		{"Monitors", `{"limit": "x"}`, "limit: " + whole + `"x"`},
		{"Monitors", `{"offset": 1.5, "nosuch": 1}`, "offset: " + whole + "1.5"},
		{"Monitors", `{"name": 7}`, "name: want a string, have 7"},
		{"Monitors", `{"state": "LOUD"}`, `state: want one of UNKNOWN (0), OK (1), WARNING (2), FAILING (3), STOPPED (4), have "LOUD"`},
		{"Monitors", `{"nosuch": 1}`, `request: unknown field "nosuch"; known are id, name, limit, offset, state`},
		{"Monitors", `[1]`, "request: want a JSON object, have [1]"},
		{"Monitors", `{`, "request: reading the JSON: unexpected end of JSON input"},
		{"HealthChecks", `{"limit": -1}`, "limit: want a whole number from 0 to 18446744073709551615, have -1"},
		{"HealthChecks", `{"missing": "` + strings.Repeat("y", 100) + `"}`, `missing: want true or false, have "` + strings.Repeat("y", 39) + "..."},
		{"HealthChecks", `{"statuses": ["x"]}`, "statuses: want a list, each of it one of UNKNOWN (0), OK (1), ERROR (2), WARNING (3), have [\"x\"]"},
		{"Register", `{"definition": {"name": "a"}}`, `definition: want a string, have {"name": "a"}`},
	} {
		code, detail := p.status(t, c.method, c.request, bearer("admin-token-long"))
		if code != 400 || detail != c.want {
			t.Errorf("%s %s: got %d %s, want 400 %s", c.method, c.request, code, detail, c.want)
		}
		if strings.Contains(detail, "Go value") {
			t.Errorf("%s: %s", c.request, detail)
		}
	}
}
