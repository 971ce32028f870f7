package monitor

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

const compactTOML = `
[[monitor]]
name = "m%d"
interval = 60
labels = { team = "a" }
[monitor.probe]
type = "tcp"
address = "127.0.0.1:1"
[monitor.filter]
type = "average"
window = 3
[[monitor.actions]]
type = "http"
url_fail = "http://127.0.0.1:1/x"
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
