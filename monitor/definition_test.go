package monitor

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/internal/testkit"
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

// Faults: G33, S13.
func TestUnknownKeysAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"name": "m", "probe": {"type": "x"}, "actoins": []}`:     "actoins: unknown key",
		`{"name": "m", "probe": {"type": "x"}} {}`:                 "unexpected text after",
		`{"name": "m", "probe": {"type": "x"}}x`:                   "unexpected text after",
		`{"name": "m", "name": "n", "probe": {"type": "x"}}`:       `duplicate key "name"`,
		`{"name": "m", "probe": {"type": "x", "Type": 1}`:          "unexpected EOF",
		`{"name": "m", "probe": {"type": "x"}, "interval": 1e999}`: "out of range",
		`{"name": "m", "probe": [` + strings.Repeat("[", 200):      "nested deeper",
		`{"name": "cut \ud83d", "probe": {"type": "x"}}`:           `key "name": \ud83d is half of a surrogate pair and no character`,
		`{"name": "m", "probe": {"type": "x", "a": ["\ude00"]}}`:   `key "a": \ude00 is half`,
		`{"name": "m", "\udead": 1}`:                               `\udead is half`,
		`{"name": "cafe\u0301", "probe": {"type": "x"}}`:           `name: "cafe\u0301" is not in Unicode normal form NFC: write it as "caf\u00e9"`,
		`{"name": "\ufffd", "probe": {"type": "x"}}`:               "stands for damaged text",
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

const compactTOML = `
[[monitor]]
name = "m%d"
interval = 60
labels = { team = "a" }
probe = { type = "tcp", address = "127.0.0.1:1" }
filter = { type = "average", window = 3 }
actions = [{ type = "http", url_fail = "http://127.0.0.1:1/x" }]
`

// TestMonitorAtRestIsSmall bounds the memory of a monitor, without the store and
// without garbage.
// Faults: T50.
func TestMonitorAtRestIsSmall(t *testing.T) {
	const n, most = 2000, 1700
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "[[monitor]]\nname = \"m%d\"\n[monitor.probe]\ntype = \"tcp\"\naddress = \"127.0.0.1:%d\"\n", i, i+1)
	}
	g := builtinGroup()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	applyText(t, g, text.String())
	each := (int64(heap()) - int64(before)) / n
	if len(g.List(Filter{})) != n || each > most {
		t.Errorf("a monitor takes %d B, want at most %d", each, most)
	}
	t.Logf("a monitor takes %d B", each)
}

// TestCompactDefinitionKeepsItsMeaning reloads, stops and starts a running monitor.
func TestCompactDefinitionKeepsItsMeaning(t *testing.T) {
	text := fmt.Sprintf(compactTOML, 1)
	for _, c := range []struct {
		text  string
		stays bool
	}{
		{text, true},
		{"# moved by a line\n" + text, true},
		{strings.Replace(text, "window = 3", "window = 4", 1), false},
		{strings.Replace(text, `"a"`, `"b"`, 1), false},
		{strings.Replace(text, "1/x", "1/y", 1), false},
	} {
		g := builtinGroup()
		applyText(t, g, text)
		old := g.lookup("m1")
		if old.def.tree != nil || old.def.probe.Lines != nil {
			t.Error("the tree or the lines are still in memory")
		}
		applyText(t, g, c.text)
		if got := g.lookup("m1") == old; got != c.stays {
			t.Errorf("%s\nsame runner: %v, want %v", c.text, got, c.stays)
		}
		if err := g.Stop(1); err != nil {
			t.Fatal(err)
		}
		before := g.List(Filter{})[0]
		if err := g.Start(1); err != nil {
			t.Fatal(err)
		}
		after := g.List(Filter{})[0]
		if !after.Running || after.Filter != "average" || fmt.Sprint(after.Actions) != fmt.Sprint(before.Actions) {
			t.Errorf("after a restart: %+v, before: %+v", after, before)
		}
	}
}

func TestRegistrationListsActionsAndCommands(t *testing.T) {
	for text, want := range map[string]access.Registration{
		`{"name":"a","probe":{"type":"tcp","address":"h:1"},"actions":[{"receiver":"ops"},{"type":"mail"}]}`: {
			Probe: "tcp", Actions: []string{"mail"},
		},
		`{"name":"a","probe":{"type":"exec","command":"/bin/true"}}`: {
			Probe: "exec", Commands: []access.Command{{Argv: []string{"/bin/true"}}},
		},
		`{"name":"a","probe":{"type":"exec","command":"/x","args":["a","b c"]},"actions":[{"type":"exec","command":"/y","env":[]}]}`: {
			Probe: "exec", Actions: []string{"exec"},
			Commands: []access.Command{{Argv: []string{"/x", "a", "b c"}}, {Argv: []string{"/y"}, CustomEnv: true}},
		},
		`{"name":"a","probe":{"type":"exec","command":"/x","args":[1]},"actions":[{"type":"exec","command":"/x","args":"y","dir":"/"}]}`: {
			Probe: "exec", Actions: []string{"exec"}, Commands: []access.Command{{}, {CustomEnv: true}},
		},
		`{"name":"a","probe":{"type":"\u0065xec","args":[]},"actions":[]}`: {
			Probe: "exec", Commands: []access.Command{{}},
		},
		"name = 'a'\n[probe]\ntype = 'Exec'\ncommand = '/x'": {Probe: "Exec"},
	} {
		d, err := ParseOne(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := d.Registration(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", text, got, want)
		}
	}
}

const (
	shop      = "[[monitor]]\nname = \"shop\"\n"
	shopProbe = "[monitor.probe]\ntype = \"http\"\nurl = \"https://shop.example.org/\"\n"
)

// mistakes are files with common mistakes and the expected problems.
func mistakes() map[string]struct{ text, want string } {
	return map[string]struct{ text, want string }{
		"a key":             {shop + "intervall = 10\n" + shopProbe, `3: monitor "shop": intervall: unknown key; did you mean "interval"?`},
		"a dash":            {shop + "retry-interval = 10\n" + shopProbe, `3: monitor "shop": retry-interval: unknown key; did you mean "retry_interval"?`},
		"a kind":            {shop + "[monitor.probe]\ntype = \"htpp\"\n", `4: monitor "shop": unknown type of probe "htpp"; did you mean "http"?`},
		"quotes":            {shop + "max = \"10\"\n" + shopProbe, `3: monitor "shop": max: want a number, have a string: write it without quotes`},
		"no quotes":         {shop + "labels = { team = 3 }\n" + shopProbe, `3: monitor "shop": labels.team: want a string, have a whole number: write it in quotes`},
		"negative":          {shop + "interval = -5\n" + shopProbe, `3: monitor "shop": interval: -5 seconds is out of range: give 0 to 86400`},
		"too short":         {shop + "interval = \"500ms\"\n" + shopProbe, `3: monitor "shop": interval: 500ms is out of range: give 1s to 24h`},
		"timeout":           {shop + "interval = \"10s\"\ntimeout = \"30s\"\n" + shopProbe, `4: monitor "shop": timeout: 30s is out of range: give more than 0 and at most the interval, 10s`},
		"no name":           {"[[monitor]]\n" + shopProbe, `1: name: this key is required`},
		"no probe":          {shop, `1: monitor "shop": probe: this table is required, with a key "type"`},
		"two probes":        {shop + shopProbe + "[monitor.probe]\ntype = \"tcp\"\n", `6: "monitor.probe" is defined twice: remove one, or start another [[monitor]] before it`},
		"a list":            {shop + "[[monitor.probe]]\ntype = \"tcp\"\n", `3: monitor "shop": probe: want a table, have a list: write one [monitor.probe] in place of [[monitor.probe]]`},
		"no list":           {shop + shopProbe + "[monitor.actions]\ntype = \"exec\"\n", `6: monitor "shop": actions: want a list, have a table: write [[monitor.actions]] in place of [monitor.actions]`},
		"singular":          {"[monitor]\nname = \"shop\"\n", `1: monitor: want a list, have a table: write [[monitor]] in place of [monitor]`},
		"too far down":      {shop + shopProbe + "timeout = 3\n", `6: monitor "shop": probe http: timeout: unknown key; it is a key of [[monitor]]: move it directly below that header`},
		"no type":           {shop + shopProbe + "[[monitor.actions]]\nto = [\"a@b.c\"]\n", `6: monitor "shop": actions[0]: the table needs a key "type"`},
		"a receiver":        {shop + shopProbe + "[[monitor.actions]]\nreceiver = \"opps\"\n[[receiver]]\nname = \"ops\"\ntype = \"publish\"\n", `6: monitor "shop": receiver "opps" is not defined in any file; did you mean "ops"?`},
		"a wrong receiver":  {shop + shopProbe + "[[monitor.actions]]\nreceiver = \"ops\"\n[[receiver]]\nname = \"ops\"\ntype = \"publihs\"\n", "10: receiver \"ops\": unknown type of action \"publihs\"; did you mean \"publish\"?\n6: monitor \"shop\": receiver \"ops\" is not available: its [[receiver]] is invalid"},
		"window":            {shop + shopProbe + "[monitor.filter]\ntype = \"average\"\nwindow = 0\n", `8: monitor "shop": filter average: window is 0: give 1 to 10000`},
		"a URL":             {shop + "[monitor.probe]\ntype = \"http\"\nurl = \"shop.example.org\"\n", `5: monitor "shop": probe http: url: not an http or https URL such as https://host:port/path`},
		"a regexp":          {shop + shopProbe + "expect_body = \"(ok\"\n", `6: monitor "shop": probe http: expect_body: error parsing regexp: missing closing ): ` + "`(ok`"},
		"a certificate":     {shop + shopProbe + "[monitor.probe.tls]\ncert_file = \"/x\"\n", `7: monitor "shop": probe http: tls: give both cert_file and key_file, or none: key_file is missing`},
		"a file":            {shop + shopProbe + "bearer_file = \"/nonexistent\"\n", `6: monitor "shop": probe http: reading bearer_file: open /nonexistent: no such file or directory`},
		"min without":       {shop + "min = 5\n" + shopProbe, `3: monitor "shop": min: 5 is more than max, 0: every value would fail; set max too`},
		"never warns":       {shop + "max = 10\nwarn_max = 20\n" + shopProbe, `4: warning: monitor "shop": warn_max: 20 is not below max 10: it never warns`},
		"always warns":      {shop + "min = 5\nmax = 10\nwarn_min = 11\n" + shopProbe, `5: warning: monitor "shop": warn_min: 11 is above max 10: every value in range is a warning`},
		"a bare word":       {shop + "interval = 10s\n" + shopProbe, `3: expected a top-level item to end with a newline, comment, or EOF, but got 's' instead: put text in quotes, as in key = "10s"`},
		"a quote":           {shop + "labels = { team = \"a }\n" + shopProbe, `3: strings cannot contain newlines: a quote is missing`},
		"a header":          {"[[monitor\nname = \"shop\"\n", `1: expected '.' or ']' to end table name, but got '\n' instead: the header is not closed`},
		"no value":          {shop + "interval =\n" + shopProbe, `3: expected value but found '\n' instead: the value is missing`},
		"quotes of a page":  {shop + "labels = { team = \u201ca\u201d }\n", "3: expected value but found '\u201c' instead: the line contains the character '\u201c' (U+201C): use plain spaces and quotes"},
		"Latin 1":           {"[[monitor]]\nname = \"caf\xe9\"\n", `2: invalid UTF-8 byte: 0xe9: save the file as UTF-8`},
		"old Mac":           {strings.ReplaceAll(shop, "\n", "\r"), `1: TOML files cannot contain control characters: '0x0d': save the file with Unix or DOS line endings`},
		"JSON":              {`{"name": "shop"}`, `1: expected '.' or '=', but got '{' instead: this looks like JSON, which only the register command accepts; monitor files are TOML`},
		"DOS":               {strings.ReplaceAll(shop+shopProbe, "\n", "\r\n"), ""},
		"a byte order mark": {"\ufeff" + shop + shopProbe, ""},
		"tabs":              {"[[monitor]]\n\tname\t=\t\"shop\"\n\t[monitor.probe]\n\ttype = \"http\"\n\turl = \"https://shop.example.org/\"\n", ""},
	}
}

func TestCommonMistakesAreExplained(t *testing.T) {
	for name, mistake := range mistakes() {
		t.Run(name, func(t *testing.T) {
			file := testkit.NewFile(t, "a.toml", mistake.text)
			set, problems := loadFiles(file)
			problems = append(problems, builtinGroup().Apply(t.Context(), set, problems)...)
			var got []string
			for _, p := range problems {
				got = append(got, strings.TrimPrefix(p.Error(), file+":"))
			}
			if got := strings.Join(got, "\n"); got != mistake.want {
				t.Errorf("got\n%s\nwant\n%s", got, mistake.want)
			}
		})
	}
}
