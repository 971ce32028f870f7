package access

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

func TestBearerReadsBothSchemes(t *testing.T) {
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	for header, want := range map[string]string{
		"Bearer abc":    "abc",
		"bearer abc":    "abc",
		"BEARER   abc ": "abc",
		basic("x:abc"):  "abc",
		basic(":abc"):   "abc",
		basic("x:a:b"):  "a:b",
		"":              "",
		"Bearer":        "",
		"Bearer ":       "",
		"Bearer a b":    "",
		"abc":           "",
		"Token abc":     "",
		"Bearer\tabc":   "",
		"Bearer a\tb":   "",
		"Bearer \xff":   "",
		"Basic abc":     "",
		"Basic !":       "",
		basic("abc"):    "",
		basic("abc:"):   "",
		basic("x:a b"):  "",
		basic("x:\x00"): "",
		"Bearer " + strings.Repeat("a", maxHeader): "",
	} {
		if got := Bearer(header); got != want {
			t.Errorf("%.60q: got %q, want %q", header, got, want)
		}
	}
}

// FuzzAuthHeader compares Bearer with the Basic parser of net/http, and checks that
// both schemes return every valid token unchanged.
// Faults: T69.
func FuzzAuthHeader(f *testing.F) {
	const own = "all~of!it~for+ever"
	f.Add("Bearer abc", "abc")
	f.Add("Bearer "+own, own)
	f.Add("Basic eDphYmM=", "a:b")
	f.Add("basic eDphYmM", "~")
	f.Add("Bearer  x ", "")
	f.Add("BASIC eDph\nYmM=", "é")
	tokens, err := parseTokens("admin:" + own)
	if err != nil {
		f.Fatal(err)
	}
	known := &Tokens{stored: tokens}
	f.Fuzz(func(t *testing.T, header, token string) {
		got := Bearer(header)
		if got != "" && checkToken(got) != nil {
			t.Fatalf("%q yields %q, which is not a valid token", header, got)
		}
		if got != "" && !strings.EqualFold(header[:min(len(header), 7)], "Bearer ") {
			r := &http.Request{Header: http.Header{"Authorization": {strings.TrimRight(header, " ")}}}
			if _, want, ok := r.BasicAuth(); ok && got != want {
				t.Fatalf("%q yields %q, net/http reads %q", header, got, want)
			}
		}
		if role := known.Role(got); (role == Admin) != (got == own) {
			t.Fatalf("%q yields the role %v by %q", header, role, got)
		}
		if checkToken(token) != nil {
			return
		}
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth("x", token)
		for _, h := range []string{r.Header.Get("Authorization"), "Bearer " + token} {
			if got := Bearer(h); got != token {
				t.Fatalf("%q yields %q, want %q", h, got, token)
			}
		}
	})
}
