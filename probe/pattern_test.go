package probe

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A slow pattern ends with the probe, and a large one is refused.
func TestPatternsAreBounded(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{strings.Repeat("(.?){1000}", 10), "the regular expression is too large"},
		{strings.Repeat("a", maxPattern+1), "longer than 4096 bytes"},
		{"(", "missing closing )"},
		{"a{1001}", "invalid repeat count"},
	} {
		_, err := newPattern("expect", c.text)
		if err == nil || !strings.HasPrefix(err.Error(), "expect: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: got %v, want %s", c.text, err, c.want)
		}
	}
	p, err := newPattern("expect", "(.?){1000}y")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := p.match(ctx, []byte(strings.Repeat("x", maxBody))); err == nil || time.Since(begin) > 3*time.Second { // of ten or more
		t.Errorf("got %v after %v, want an end at the deadline", err, time.Since(begin))
	}
}

// Both ways of matching give the same result.
func TestPatternsMatchLongTexts(t *testing.T) {
	long := strings.Repeat("é\xffz ", 1<<15)
	for text, want := range map[string]bool{
		"end$": true, "^é": true, "\\bend": true, "middle": false, "^end": false, "z é": true, "\\x{fffd}": true, "(.?){50}end": true,
	} {
		p, err := newPattern("expect", text)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{p.size, uncheckedSteps} {
			p.size = size
			if got, err := p.match(t.Context(), []byte(long+"end")); err != nil || got != want {
				t.Errorf("%q, as one of size %d: got %v, %v, want %v", text, size, got, err, want)
			}
		}
	}
}

// Each kind with a pattern respects its deadline while it matches.
func TestPatternsObeyTheDeadline(t *testing.T) {
	const slow = `"(?:.?){1000}y"`
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat("x", maxBody-1)))
	}))
	defer page.Close()
	timesOut(t, build(t, "http", "url = \""+page.URL+"\"\nexpect_body = "+slow, Env{}))
}
