package document

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2/unstable"
)

func TestLinesOfKeys(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want map[string]int
	}{
		"tables": {
			"# comment\n\na = 1\n[b]\nc = 2\n\n[b.d]\n  e = 3 # comment\n[f.g]\n",
			map[string]int{"a": 3, "b": 4, "b.c": 5, "b.d": 7, "b.d.e": 8, "f": 9, "f.g": 9},
		},
		"lists of tables": {
			"[[m]]\na = 1\n[m.p]\nb = 1\n[[m.x]]\nc = 1\n[[m.x]]\nc = 2\n[[m]]\n[m.p]\nb = 2\n[[m.x]]\nc = 3\n",
			map[string]int{
				"m": 1, "m.0": 1, "m.0.a": 2, "m.0.p": 3, "m.0.p.b": 4, "m.0.x": 5, "m.0.x.0": 5, "m.0.x.0.c": 6, "m.0.x.1": 7, "m.0.x.1.c": 8,
				"m.1": 9, "m.1.p": 10, "m.1.p.b": 11, "m.1.x": 12, "m.1.x.0": 12, "m.1.x.0.c": 13,
			},
		},
		"dotted keys": {
			"[[m]]\np.t.a = 1\np . t . b = 2\n[m.q.r]\ns.u = 3\n",
			map[string]int{"m.0.p": 2, "m.0.p.t": 2, "m.0.p.t.a": 2, "m.0.p.t.b": 3, "m.0.q": 4, "m.0.q.r": 4, "m.0.q.r.s": 5, "m.0.q.r.s.u": 5},
		},
		"quoted keys": {
			"\"a = b\" = 1\n'[c]' = 2\n\"d.e\" = 3\n\"\\u0066\" = 4\n[\"g h\".'i#']\n\"\" = 5\nj.\"k.l\".m = 6\n",
			map[string]int{"a = b": 1, "[c]": 2, "d.e": 3, "f": 4, "g h": 5, "g h.i#": 5, "g h.i#.": 6, "g h.i#.j": 7, "g h.i#.j.k.l": 7, "g h.i#.j.k.l.m": 7},
		},
		"inline tables": {
			"[[m]]\np = { type = \"x\",\n  tls = { a = 1,\n    b.c = 2 }, # comment\n  d = 3,\n}\n",
			map[string]int{"m.0.p": 2, "m.0.p.type": 2, "m.0.p.tls": 3, "m.0.p.tls.a": 3, "m.0.p.tls.b": 4, "m.0.p.tls.b.c": 4, "m.0.p.d": 5},
		},
		"lists of inline tables": {
			"m = [ { a = 1 }, {\n  b = 2 },\n  # c = 3\n  { c = 3, d = [\n    { e = 4 },\n    {} ] } ]\n",
			map[string]int{"m": 1, "m.0": 1, "m.0.a": 1, "m.1": 1, "m.1.b": 2, "m.2": 4, "m.2.c": 4, "m.2.d": 4, "m.2.d.0": 5, "m.2.d.0.e": 5, "m.2.d.1": 6},
		},
		"elements of lists": {
			"a = [\n  \"x\", 1,\n  true,\n  2020-01-01, [\n    1.5, ], [2,\n 3]]\n",
			map[string]int{"a": 1, "a.0": 2, "a.1": 2, "a.2": 3, "a.3": 4, "a.4": 4, "a.4.0": 5, "a.5": 5, "a.5.0": 5, "a.5.1": 6},
		},
		// The lines of a string or list that look like keys once gave lines of keys.
		"multi-line strings": {
			"[[m]]\na = \"\"\"\nb = 1\n[c]\n\"\"\"\n[m.p]\nd = '''\ne = \"\"\"\n[[m]]'''\nb = 1 # '''\ne = 2\n",
			map[string]int{"m.0.a": 2, "m.0.p": 6, "m.0.p.d": 7, "m.0.p.b": 10, "m.0.p.e": 11, "m.1": 1},
		},
		"strings that close and open on a line": {
			"[[m]]\na = ['''x''', '''\nb = 1\n[c]\n''', \"\"\"\nd = 1\"\"\"]\nb = 2\nd = '#'\n",
			map[string]int{"m.0.a": 2, "m.0.a.1": 2, "m.0.a.2": 5, "m.0.b": 7, "m.0.d": 8, "c": 0},
		},
		"lists with lines like keys": {
			"[[m]]\nargs = [\n  \"-c\", '''\nurl = 1''',\n\"\"\"[x]\n\"\"\",\n]\nurl = \"u\"\n",
			map[string]int{"m.0.args": 2, "m.0.args.0": 3, "m.0.args.1": 3, "m.0.args.2": 5, "m.0.url": 8, "x": 0},
		},
		"keys without a line": {
			"[[m]]\na = 1\n[m.p]\n",
			map[string]int{"": 0, "x": 0, "m.9": 1, "m.0.x": 1, "m.0.a.x.y": 2, "m.0.p.x": 3},
		},
		"a text that only the decoder accepts": {"\xff\xfea = 1\n", map[string]int{"a": 0}},
		"DOS line endings and a byte order mark": {
			"\ufeffa = 1\r\n[b]\r\nc = '''\r\nd = 1\r\n'''\r\nd = 2\r\n",
			map[string]int{"a": 1, "b": 2, "b.c": 3, "b.d": 6},
		},
	} {
		t.Run(name, func(t *testing.T) {
			doc, problem := Parse("", c.text)
			if problem != nil {
				t.Fatal(problem)
			}
			for _, path := range slices.Sorted(maps.Keys(c.want)) {
				if got := doc.Lines(path); got != c.want[path] {
					t.Errorf("%q: got line %d, want %d", path, got, c.want[path])
				}
			}
		})
	}
}

// FuzzLines checks that every line is within the text, and that every key has one if
// both parsers accept the text.
func FuzzLines(f *testing.F) {
	for _, text := range []string{
		"[[m]]\na = 1\n[m.p]\nb.c = { d = [1, {e = 2}] }\n[[m.x]]\n\"y.z\" = '''\nk = 1\n'''\n",
		"a = [[1,\n2], {}, [{b = 1}]]\r\n", "\ufeff\"\" = 1\n[\"\"]\n\"\" = 1", "a = 07:32\nb = 1979-05-27 07:32:00Z\n[x.y]\n[x]\n", "[[a", "a = [", "\xff\xfea = 1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := linesOf(text)
		most := strings.Count(text, "\n") + 1
		for _, path := range []string{"", "a", "m.0.a", text} {
			if n := lines(path); n < 0 || n > most {
				t.Fatalf("%q: line %d of %d", path, n, most)
			}
		}
		doc, problem := Parse("", text)
		if problem != nil {
			return
		}
		var walk func(v any, path string)
		walk = func(v any, path string) {
			if n := lines(path); path != "" && (n < 1 || n > most) {
				t.Fatalf("%q: line %d of %d", path, n, most)
			}
			switch v := v.(type) {
			case map[string]any:
				for key, e := range v {
					walk(e, Join(path, key))
				}
			case []any:
				for i, e := range v {
					walk(e, Join(path, strconv.Itoa(i)))
				}
			}
		}
		var parser unstable.Parser
		parser.Reset([]byte(strings.TrimPrefix(text, "\ufeff")))
		for parser.NextExpression() {
		}
		if parser.Error() == nil {
			walk(doc.Tree, "")
		}
	})
}

// largeText is a document of 10,000 monitors and 4 MiB.
func largeText() string {
	var b strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&b, "[[monitor]]\nname = \"service-%d\"\ninterval = \"30s\"\nlabels = { team = \"shop\", stage = \"production\" }\n"+
			"[monitor.probe]\ntype = \"http\"\nurl = \"https://service-%[1]d.example.org/health\"\nexpect_status = [200, 204]\n"+
			"expect_body = '''\nstatus = \"ok\"\n'''\n[[monitor.actions]]\nreceiver = \"operators\"\n# %s\n", i, strings.Repeat("-", 100))
	}
	return b.String()
}

func BenchmarkParse(b *testing.B) {
	text := largeText()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, problem := Parse("", text); problem != nil {
			b.Fatal(problem)
		}
	}
}

func BenchmarkLines(b *testing.B) {
	text := largeText()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var lines Lines
	for b.Loop() {
		lines = linesOf(text)
	}
	retained := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	with := retained()
	if lines("monitor.9999.probe.url") == 0 { // which also kept them in memory until here
		b.Fatal("no line")
	}
	b.ReportMetric(with-retained(), "MiB-retained")
}
