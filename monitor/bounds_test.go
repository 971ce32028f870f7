package monitor

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/document"
)

// TestAPIAnswersFewProblems registers definitions of 50 KB that are wrong throughout.
// Faults: S3.
func TestAPIAnswersFewProblems(t *testing.T) {
	const n = 5000
	keys := func(format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	g := builtinGroup()
	for name, text := range map[string]string{
		"keys of a monitor":     "[[monitor]]\n" + keys("k%d=1\n"),
		"keys without a header": keys("k%d=1\n"),
		"keys of the probe":     "name='a'\n[probe]\ntype='tcp'\naddress='127.0.0.1:1'\n" + keys("k%d=1\n"),
		"keys of the document":  keys("k%d=1\n") + "[[monitor]]\nname='a'\n",
		"sections":              strings.Repeat("[[monitor]]\n", n),
		"JSON":                  `{"name": "a"` + keys(`,"k%d":1`) + "}",
		"a probe in JSON":       `{"name": "a", "probe": {"type": "tcp", "address": "127.0.0.1:1"` + keys(`,"k%d":1`) + "}}",
	} {
		if len(text) > MaxDefinition {
			t.Fatalf("%s: %d bytes", name, len(text))
		}
		_, err := g.RegisterText(access.Policy{}, access.Caller{Role: access.Admin}, text)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != shownErrors+1 || !strings.HasPrefix(lines[shownErrors], "and ") || !strings.HasSuffix(lines[shownErrors], " more") || len(err.Error()) > 16<<10 {
			t.Errorf("%s: %d bytes, %d lines, the last is %q", name, len(err.Error()), len(lines), lines[len(lines)-1])
		}
	}
}

// tcpMonitors defines n monitors with another key of their probe.
func tcpMonitors(n int, key string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[[monitor]]\nname=\"%d\"\nprobe={type=\"tcp\",address=\"127.0.0.1:1\"%s}\n", i, key)
	}
	return b.String()
}

// TestApplyStopsAtTooManyErrors applies a file whose kinds all have an unknown key. The
// monitors that were not checked stay as they were.
// Faults: S3.
func TestApplyStopsAtTooManyErrors(t *testing.T) {
	g := builtinGroup()
	applyText(t, g, tcpMonitors(2000, ""))
	set, problems := Parse("a.toml", tcpMonitors(1999, ",adress=1"))
	problems = append(problems, g.Apply(t.Context(), set, problems)...)
	if n := len(problems); n != document.MaxProblems+1 || !strings.Contains(problems[n-1].Error(), "the rest of the file is not checked") {
		t.Errorf("%d problems, the last is %v", n, problems[n-1])
	}
	if n := len(g.List(Filter{})); n != 2000 {
		t.Errorf("%d monitors, want 2000", n)
	}
}

// Faults: S3.
func TestApplyChangesNothingOnceItsContextHasEnded(t *testing.T) {
	g := builtinGroup()
	applyText(t, g, tcpMonitors(2, ""))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	set, problems := Parse("a.toml", tcpMonitors(1, ",timeout=1"))
	if problems = append(problems, g.Apply(ctx, set, problems)...); len(problems) > 0 {
		t.Error(problems)
	}
	if n := len(g.List(Filter{})); n != 2 {
		t.Errorf("%d monitors, want 2", n)
	}
}

// TestApplySaysThatItStopsWithinTheErrorsOfAMonitor has three errors in each monitor:
// the limit is reached within one.
// Faults: S3.
func TestApplySaysThatItStopsWithinTheErrorsOfAMonitor(t *testing.T) {
	set, problems := Parse("a.toml", tcpMonitors(400, ",adress=1,porrt=1,timeeout=1"))
	problems = append(problems, builtinGroup().Apply(t.Context(), set, problems)...)
	said := 0
	for _, p := range problems {
		if p.Error() == document.TooMany("a.toml").Error() {
			said++
		}
	}
	if said != 1 || len(problems) > document.MaxProblems+3 {
		t.Errorf("%d problems, %d of them say that the rest is not checked", len(problems), said)
	}
}
