package monitor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// Faults: G6.
func TestNonFiniteThresholdsAreRefused(t *testing.T) {
	for _, key := range []string{"min", "max", "warn_min", "warn_max"} {
		for _, value := range []string{"nan", "inf", "-inf"} {
			set, problems := Parse("a.toml", monitorTOML("m", key+" = "+value))
			if len(set.Monitors) != 0 || len(problems) != 1 || !strings.Contains(problems[0].Error(), key+": ") {
				t.Errorf("%s = %s: %d monitors, %v", key, value, len(set.Monitors), problems)
			}
		}
	}
}

// TestNumbersMeanTheSameInTOMLAndJSON uses integers that goma rejects.
// Faults: G19, G20, G21.
func TestNumbersMeanTheSameInTOMLAndJSON(t *testing.T) {
	for _, doc := range []string{
		"name = \"m\"\n[probe]\ntype = \"exec\"\ncommand = \"/bin/true\"\nerrval = 1\n[filter]\ntype = \"average\"\nwindow = 3\ninit = 0\n[[actions]]\ntype = \"http\"\nurl_fail = \"http://192.0.2.1\"\ntimeout = 7",
		`{"name":"m","probe":{"type":"exec","command":"/bin/true","errval":1},"filter":{"type":"average","window":3,"init":0},"actions":[{"type":"http","url_fail":"http://192.0.2.1","timeout":7}]}`,
	} {
		d := mustParse(t, doc)
		d.Trusted = true
		g := builtinGroup()
		p, wanted, err := g.prepare(d)
		if err != nil {
			t.Fatal(err)
		}
		if got := wanted[0].action.(action.Deadliner).Deadline(); got != 7*time.Second {
			t.Errorf("the timeout is %v, want 7s", got)
		}
		if got := len(p.value.(*average).w.values); got != 3 {
			t.Errorf("the window is %d", got)
		}
		g.closeProbe("m", p)
	}
}

// TestNamesAreSafeAndUnique also registers the name of a monitor of a file.
// Faults: G31.
func TestNamesAreSafeAndUnique(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.apply(t, "a.toml", monitorTOML("m", ""))
		for _, name := range []string{"", "a\\u0000", "a\\nb", "\\u202e", " a", "a ", "a  b", "\\u00a0a", strings.Repeat("x", 1<<15)} {
			if _, err := ParseOne(`{"name": "` + name + `", "probe": {"type": "fake"}}`); err == nil {
				t.Errorf("%.20q is accepted", name)
			}
		}
		d := mustParse(t, `{"name": "m", "probe": {"type": "fake"}}`)
		if _, err := b.Register(d); !errors.Is(err, ErrExists) {
			t.Errorf("got %v", err)
		}
	})
}

// Faults: G32.
func TestIntervalsAreBounded(t *testing.T) {
	for _, keys := range []string{
		"interval = -1", "interval = 0.001", "interval = 86401", "interval = 9223372036854775807", "interval = \"1ns\"",
		"interval = 10\ntimeout = 11", "interval = 10\ntimeout = -1", "interval = 10\nretry_interval = 0.1",
	} {
		if set, problems := Parse("a.toml", monitorTOML("m", keys)); len(set.Monitors) != 0 || len(problems) != 1 {
			t.Errorf("%s: %d monitors, %v", keys, len(set.Monitors), problems)
		}
	}
	d, err := ParseOne(`{"name": "m", "probe": {"type": "x"}, "interval": 0, "timeout": 0}`)
	if err != nil || d.Interval != time.Minute || d.Timeout != 59*time.Second {
		t.Errorf("zero is unset, as goma's client sends it: %+v, %v", d, err)
	}
}

// Faults: G33.
func TestUnknownKeysAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"name": "m", "probe": {"type": "x"}, "actoins": []}`:     "actoins: unknown key",
		`{"name": "m", "probe": {"type": "x"}} {}`:                 "unexpected text after",
		`{"name": "m", "probe": {"type": "x"}}x`:                   "unexpected text after",
		`{"name": "m", "name": "n", "probe": {"type": "x"}}`:       `duplicate key "name"`,
		`{"name": "m", "probe": {"type": "x", "Type": 1}`:          "unexpected EOF",
		`{"name": "m", "probe": {"type": "x"}, "interval": 1e999}`: "out of range",
		`{"name": "m", "probe": [` + strings.Repeat("[", 200):      "nested deeper",
		"{\"name\": \"\xff\"}":                                     "not valid UTF-8",
		"name = \"m\"\nx = 1\n[probe]\ntype = \"x\"":               "x: unknown key",
		strings.Repeat("#", MaxDefinition+1):                       "larger than 65536 bytes",
		"[[receiver]]\nname=\"r\"\ntype=\"x\"":                     "want one monitor and no receiver, have 0 and 1",
	} {
		if _, err := ParseOne(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %s", text, err, want)
		}
	}
}
