package action

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Faults: T44, S12.
func TestRedactorMasksSecrets(t *testing.T) {
	for _, c := range []struct{ secret, text, want string }{
		{"s3cret-token", "posting to https://x/s3cret-token: no", "posting to https://x/<secret>: no"},
		{"s3cret-token", "a s3cret- b -token", "a <secret> b <secret>"},
		{"s3cret-token", "a s3cre b token", "a s3cre b token"},
		{"p w/d+123", "at " + url.QueryEscape("p w/d+123"), "at <secret>"},
		{"p w/d+123", "at " + url.PathEscape("p w/d+123"), "at <secret>"},
		{"quote\"d-secret", fmt.Sprintf("%q", "quote\"d-secret"), `"<secret>"`},
		{"a", "a password of one letter", "a password of one letter"},
		{"short", "a short answer", "a short answer"},
		{"", "nothing", "nothing"},
		{"üüü-geheim", "x üüü-geheim y", "x <secret> y"},
		{"s3cret-token", base64.StdEncoding.EncodeToString([]byte("s3cret-token")), "<secret>"},
	} {
		if got := newRedactor(c.secret).text(c.text); got != c.want {
			t.Errorf("%q in %q: got %q, want %q", c.secret, c.text, got, c.want)
		}
	}
}

// Faults: T44.
func TestRedactorKeepsWhatTheDelivererNeeds(t *testing.T) {
	r := newRedactor("s3cret-token")
	var permanent *Permanent
	if err := r.err(fmt.Errorf("x: %w", &Permanent{errors.New("s3cret-token")})); !errors.As(err, &permanent) || err.Error() != "x: <secret>" {
		t.Errorf("got %T %v", err, err)
	}
	var after *RetryAfter
	if err := r.err(fmt.Errorf("x: %w", &RetryAfter{time.Minute, errors.New("s3cret-token")})); !errors.As(err, &after) || after.After != time.Minute || err.Error() != "x: <secret>" {
		t.Errorf("got %T %v", err, err)
	}
	if r.err(nil) != nil {
		t.Error("no error became one")
	}
}

// In no form does a text keep six bytes of a secret, and a text without them stays as
// it is.
// Faults: T44.
func FuzzRedact(f *testing.F) {
	for _, s := range []string{"s3cret-token", "<secret>", "aaaaaaa", "p w/d+&=\"\\\n", "\xff\xfe\xfd\xfc\xfb\xfa", "short", "ünïcödé"} {
		f.Add(s, "before ", " after")
		f.Add(s, s, s[:len(s)/2])
	}
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		if secret == "" || len(secret)+len(before)+len(after) > 10_000 {
			return
		}
		r := newRedactor(secret)
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), fmt.Sprintf("%q", secret)} {
			got := r.text(before + form + after)
			for _, piece := range strings.Split(got, mask) {
				for i := 0; i+maskRun <= len(secret); i++ {
					if strings.Contains(piece, secret[i:i+maskRun]) {
						t.Fatalf("%q of %q survives in %q", secret[i:i+maskRun], secret, got)
					}
				}
			}
		}
		forms := secret + url.QueryEscape(secret) + url.PathEscape(secret) + fmt.Sprintf("%q", secret) + base64.StdEncoding.EncodeToString([]byte(secret))
		if got := r.text(before); got != before && !shareByte(before, forms) {
			t.Fatalf("%q has nothing of %q but became %q", before, secret, got)
		}
	})
}

func shareByte(a, b string) bool {
	for i := range len(a) {
		if strings.IndexByte(b, a[i]) >= 0 {
			return true
		}
	}
	return false
}
