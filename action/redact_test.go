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

// Faults: T44.
func TestRedactorMasksSecrets(t *testing.T) {
	for _, c := range []struct{ secret, text, want string }{
		{"s3cret-token", "posting to https://x/s3cret-token: no", "posting to https://x/<secret>: no"},
		{"s3cret-token", "a s3cret- b -token", "a <secret> b <secret>"},
		{"s3cret-token", "a s3cre b token", "a s3cre b token"},
		{"p w/d+123", "at " + url.QueryEscape("p w/d+123"), "at <secret>"},
		{"p w/d+123", "at " + url.PathEscape("p w/d+123"), "at <secret>"},
		{"quote\"d-secret", fmt.Sprintf("%q", "quote\"d-secret"), `"<secret>"`},
		{"pw", "user:pw@host pw", "user:<secret>@host <secret>"},
		{"aaa", "aaaa", "<secret>"},
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

// No six bytes of a secret survive, however a text holds it, and what has
// nothing of it stays.
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
				if len(secret) < maskRun && strings.Contains(piece, secret) {
					t.Fatalf("%q survives in %q", secret, got)
				}
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

// Secrets of every key appear in nothing that an action or the queue says.
// Faults: G28, T44, I10.
func TestSecretsOfActionsAppearNowhere(t *testing.T) {
	const canary = "canary-5ecret"
	refused := "127.0.0.1:1"
	for name, c := range map[string]struct{ kind, keys string }{
		"exec env":        {"exec", "command = \"/bin/sh\"\nargs = [\"-c\", \"echo $T; echo $T >&2; exit 1\"]\ndebug = true\nenv = [\"T=" + canary + "\"]"},
		"exec args":       {"exec", "command = \"/no/such\"\nargs = [\"" + canary + "\"]"},
		"http user":       {"http", "url_fail = \"http://u:" + canary + "@" + refused + "/\""},
		"http path":       {"http", "url_fail = \"http://" + refused + "/hooks/" + canary + "\""},
		"http query":      {"http", "url_fail = \"http://" + refused + "/?k=" + canary + "\""},
		"http header":     {"http", "url_fail = \"http://" + refused + "/\"\n[header]\nAuthorization = \"Bearer " + canary + "\""},
		"http params":     {"http", "url_fail = \"http://" + refused + "/\"\n[params]\ntoken = \"" + canary + "\""},
		"http bad URL":    {"http", "url_fail = \"http://" + canary + "@%zz\""},
		"mail":            {"mail", "from = \"a@b.c\"\nto = [\"a@b.c\"]\nserver = \"" + refused + "\"\nuser = \"u\"\npassword = \"" + canary + "\""},
		"notify token":    {"notify", "url = \"ntfy://u:" + canary + "@" + refused + "/" + canary + "?scheme=http\""},
		"notify bad":      {"notify", "url = \"slack://" + canary + "\""},
		"notify no such":  {"notify", "url = \"telegram://" + canary + "\""},
		"notify bad URL":  {"notify", "url = \"slack://" + canary + "%zz\""},
		"notify discord":  {"notify", "url = \"discord://" + canary + "@" + canary + "?nosuch=" + canary + "\""},
		"notify matrix":   {"notify", "url = \"matrix://u:" + canary + "@" + refused + "/?disableTLS=yes\""},
		"notify generic":  {"notify", "url = \"generic+http://" + refused + "/" + canary + "?disabletls=yes&@X-Key=" + canary + "\""},
		"notify opsgenie": {"notify", "url = \"opsgenie://" + refused + "/" + canary + "\""},
		"notify gotify":   {"notify", "url = \"gotify://" + refused + "/" + canary + "?disabletls=yes\""},
	} {
		t.Run(name, func(t *testing.T) {
			var said strings.Builder
			log := logTo(&said)
			env := testEnv
			env.Log = log
			a, err := Builtin()[c.kind](decodeTOML(c.keys), env)
			if err != nil {
				fmt.Fprintln(&said, err)
			} else {
				fmt.Fprintf(&said, "%v %s %T\n", a, a, a)
				d, stop := deliver(t, Options{Log: log, MinBackoff: time.Hour, MaxBackoff: time.Hour})
				r := d.Add("r", a)
				r.Enqueue(testFail)
				until(t, func() bool { return !r.State().LastFailure.IsZero() })
				if _, err := stop(); err != nil {
					t.Error(err)
				}
				fmt.Fprintf(&said, "%+v %+v\n", d.State(), d.Pending())
			}
			if said.Len() == 0 || strings.Contains(said.String(), canary) {
				t.Errorf("a secret is told, or nothing at all:\n%s", &said)
			}
		})
	}
}
