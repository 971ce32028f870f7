package monitor

import (
	"bytes"
	"math"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// seedDefinitions are single definitions.
var seedDefinitions = []string{
	"name = \"m\"\n[probe]\ntype = \"tcp\"\naddress = \"h:1\"",
	"[[monitor]]\nname = \"m\"\ninterval = \"1m30s\"\nmin = 1\nmax = 2.0\nwarn_max = 1.5\nrepeat = 3600\n[monitor.probe]\ntype = \"http\"\nurl = \"http://h\"\nheader = { A = \"b\" }\n[monitor.filter]\ntype = \"average\"\nwindow = 3\n[[monitor.actions]]\nreceiver = \"ops\"\n[monitor.labels]\na = \"b\"",
	"name = \"m\"\nprobe = { type = \"x\", a = [1, 2.0, [true, {}], \"\\u00e9\"], d = 2020-01-01, n = nan, big = 1e300, z = -0.0 }",
	`{"name":"m","probe":{"type":"x","a":[1,2.0,null,{"b":null}]},"interval":5.5,"timeout":"5s","labels":{"":"x"}}`,
	`{"name":"m","probe":{"type":"x"},"min":1e400}`,
	`{"name":"\ud800","probe":{"type":"x"}}`,
}

// addSeeds adds seedDefinitions and the files of testdata.
func addSeeds(f *testing.F) {
	f.Helper()
	for _, s := range seedDefinitions {
		f.Add(s)
	}
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		text := testkit.ReadFile(f, file)
		f.Add(string(text))
	}
}

// checkRoundTrip encodes a definition as JSON and decodes it.
func checkRoundTrip(t *testing.T, d *Definition) {
	t.Helper()
	text, err := d.JSON()
	if err != nil {
		if !hasNoJSON(d.tree) {
			t.Fatalf("cannot be marshalled: %v", err)
		}
		return
	}
	whole, err := d.compact().expand()
	if err != nil || !sameDefinition(d, whole) || !d.isUnchanged(whole) {
		t.Fatalf("unpacked it is %+v (%v)\nwant %+v", whole, err, d)
	}
	if len(text) > MaxDefinition {
		return
	}
	again, err := ParseOne(string(text))
	if err != nil {
		t.Fatalf("%s is refused: %v", text, err)
	}
	if !sameDefinition(d, again) {
		t.Fatalf("%s\nis %+v\nwant %+v", text, again, d)
	}
}

// sameDefinition compares the meaning of definitions.
func sameDefinition(a, b *Definition) bool {
	return a.Name == b.Name && a.Interval == b.Interval && a.Timeout == b.Timeout && a.RetryInterval == b.RetryInterval &&
		reflect.DeepEqual(a.Thresholds, b.Thresholds) && reflect.DeepEqual(a.Labels, b.Labels) &&
		reflect.DeepEqual(a.tree, b.tree) && reflect.DeepEqual(a.Registration(), b.Registration())
}

// hasNoJSON reports whether a tree contains a value that JSON cannot represent.
func hasNoJSON(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			if hasNoJSON(e) {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if hasNoJSON(e) {
				return true
			}
		}
	case float64:
		return math.IsNaN(v) || math.IsInf(v, 0)
	case time.Time:
		return true
	}
	return false
}

// Faults: T74.
func FuzzMonitorTOML(f *testing.F) {
	addSeeds(f)
	g := builtinGroup()
	f.Fuzz(func(t *testing.T, text string) {
		set, problems := Parse("a.toml", text)
		for _, p := range problems {
			if p.Error() == "" {
				t.Error("a problem without words")
			}
		}
		for _, d := range set.Monitors {
			checkRoundTrip(t, d)
			d.Trusted = false // so that no file is read
			p, _, err := g.prepare(d)
			if err == nil && (p.probe == nil || d.Interval < MinInterval || d.Timeout > d.Interval) {
				t.Errorf("accepted: %+v", d)
			}
			g.closeProbe(d.Name, p)
		}
	})
}

// Faults: G19.
func FuzzMonitorJSON(f *testing.F) {
	addSeeds(f)
	g := builtinGroup()
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseOne(text)
		if err != nil {
			return
		}
		if d.Trusted || d.Origin != OriginAPI {
			t.Errorf("trusted: %+v", d)
		}
		checkRoundTrip(t, d)
		p, _, _ := g.prepare(d)
		g.closeProbe(d.Name, p)
	})
}

// FuzzTOMLJSONSame writes a tree as TOML and as JSON. Both must be accepted with the
// same meaning, or both rejected.
// Faults: G19.
func FuzzTOMLJSONSame(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		tree, err := document.ReadJSON(text)
		if err != nil {
			doc, problem := document.Parse("", text)
			if problem != nil {
				return
			}
			tree = doc.Tree
		}
		asJSON, err := document.WriteJSON(tree)
		if err != nil {
			return
		}
		var asTOML bytes.Buffer
		if err := toml.NewEncoder(&asTOML).Encode(tree); err != nil {
			return // TOML lists hold no nothing
		}
		if asTOML.Len() > MaxDefinition || len(asJSON) > MaxDefinition {
			return
		}
		// A document with [[monitor]] around it is for TOML alone.
		if tree["monitor"] != nil {
			return
		}
		a, errA := ParseOne(string(asJSON))
		b, errB := ParseOne(asTOML.String())
		if (errA == nil) != (errB == nil) {
			t.Fatalf("JSON %s: %v\nTOML %s: %v", asJSON, errA, asTOML.String(), errB)
		}
		if errA == nil && !sameDefinition(a, b) {
			t.Fatalf("JSON %s\nTOML %s\ngive %+v\nand  %+v", asJSON, asTOML.String(), a, b)
		}
	})
}

func FuzzReadSnapshot(f *testing.F) {
	f.Add(`{"id":1,"name":"m","file":true,"state":3,"incident":"x","value":"NaN","filter":{"values":[1,2]}}`)
	f.Add(`{"id":1,"name":"m","file":true,"streak":1000,"value":"-Inf","since":"9999-01-01T00:00:00Z","counts":[1,2,3]}`)
	f.Add(`{"id":1,"name":"m","failed":9223372036854775807,"notified":9223372036854775807,"filter":{"age":9223372036854775807}}`)
	f.Fuzz(func(t *testing.T, data string) {
		g := builtinGroup()
		g.Restarted(maxAbsent)
		if g.ReadSnapshot(SnapshotVersion, []byte(data)) != nil {
			return
		}
		applyText(t, g, "[[monitor]]\nname = \"m\"\n[monitor.probe]\ntype = \"tcp\"\naddress = \"127.0.0.1:1\"\n[monitor.filter]\ntype = \"rate\"\n")
		g.Resume([]Incident{{Monitor: "m", ID: "x", Since: time.Now()}})
		i := g.List(Filter{})[0]
		if i.Since.After(time.Now()) || i.LastProbe.After(time.Now()) || !i.Failing || len(i.Error) > maxError {
			t.Errorf("recalled %+v", i)
		}
		snapshotOf(t, g)
	})
}
