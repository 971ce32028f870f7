package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// printedRounds is what so many rounds of a benchmark print.
func printedRounds(name, unit string, allocs int, values ...float64) string {
	var text strings.Builder
	for _, v := range values {
		fmt.Fprintf(&text, "Benchmark%s-2 \t 100\t %g %s\t %d allocs/op\n", name, v, unit, allocs)
	}
	return text.String()
}

func TestCompareFailsOnWhatIsWorse(t *testing.T) {
	quiet, noisy := []float64{100, 101, 99, 100}, []float64{100, 200, 100, 200}
	for name, c := range map[string]struct {
		unit     string
		old, new []float64
		allocs   int
		want     string
	}{
		"equal":                   {"ns/op", quiet, quiet, 3, ""},
		"slower":                  {"ns/op", quiet, []float64{120, 121, 119}, 3, "WORSE"},
		"slower within tolerance": {"ns/op", quiet, []float64{110, 111, 109}, 3, ""},
		"slower within the noise": {"ns/op", noisy, []float64{180, 181, 179}, 3, ""},
		"slower than the noise":   {"ns/op", noisy, []float64{500, 501, 499}, 3, "WORSE"},
		"faster":                  {"ns/op", quiet, []float64{10}, 3, ""},
		"lower rate":              {"calls/s", quiet, []float64{80}, 3, "WORSE"},
		"higher rate":             {"calls/s", quiet, []float64{800}, 3, ""},
		"larger":                  {"B/entry", quiet, []float64{120}, 3, "WORSE"},
		"more allocations":        {"ns/op", quiet, quiet, 4, "ALLOCATIONS DIFFER"},
		"fewer allocations":       {"ns/op", quiet, quiet, 2, "ALLOCATIONS DIFFER"},
		"zero":                    {"ns/op", []float64{0}, []float64{0}, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := sides{read(t, printedRounds("A", c.unit, 3, c.old...)), read(t, printedRounds("A", c.unit, c.allocs, c.new...))}
			var out bytes.Buffer
			failures := printComparison(&out, s)
			if (failures > 0) != (c.want != "") || !strings.Contains(out.String(), c.want) {
				t.Errorf("%d failures, want %q in\n%s", failures, c.want, &out)
			}
		})
	}
}

func TestAllocationsThatVaryAreNoDifference(t *testing.T) {
	for _, c := range []struct {
		old, new []float64
		want     bool
	}{
		{[]float64{6140, 6144}, []float64{6143, 6150}, false},
		{[]float64{6140, 6144}, []float64{6145, 6150}, true},
		{nil, []float64{1}, false},
	} {
		if got := apart(c.old, c.new); got != c.want {
			t.Errorf("%v and %v: %v, want %v", c.old, c.new, got, c.want)
		}
	}
}

func TestCPUTimeIsPreferred(t *testing.T) {
	for _, c := range []struct{ units, want []string }{
		{[]string{"ns/op", "B/op", "allocs/op"}, []string{"ns/op"}},
		{[]string{"ns/op", "cpu-ns/op", "p99-ms"}, []string{"cpu-ns/op"}},
		{[]string{"ns/op", "calls/s", "cpu-us/call", "lost"}, []string{"cpu-us/call", "calls/s"}},
		{[]string{"ns/op", "CPU-s/1000", "runs/s"}, []string{"CPU-s/1000", "runs/s"}},
		{[]string{"p99-ms"}, nil},
	} {
		if got := judged(c.units); !slices.Equal(got, c.want) {
			t.Errorf("of %q %q are compared, want %q", c.units, got, c.want)
		}
	}
}

func TestPackagesMayMove(t *testing.T) {
	old := map[string][]string{"Put": {"store"}, "Answer": {"handler", "store"}, "Bus": {"handler"}, "Gone": {"guard"}, "Twice": {"a", "b"}}
	new := map[string][]string{"Put": {"store"}, "Answer": {"rpc", "store"}, "Bus": {"ingest"}, "Added": {"state"}, "Twice": {"c", "d"}}
	want := []pair{
		{"Added", "", "state"},
		{"Answer", "store", "store"}, {"Answer", "handler", "rpc"},
		{"Bus", "handler", "ingest"},
		{"Gone", "guard", ""},
		{"Put", "store", "store"},
		{"Twice", "a", ""}, {"Twice", "b", ""}, {"Twice", "", "c"}, {"Twice", "", "d"},
	}
	if got := pairs(old, new); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// plantTree writes a module whose package p has benchmarks of so many allocations.
func plantTree(t *testing.T, pkg string, allocations int, more string) string {
	t.Helper()
	tree := fstest.MapFS{
		"go.mod": {Data: []byte("module example/monitor-srv\n\ngo 1.26\n")},
		path.Join(pkg, "a_test.go"): {Data: fmt.Appendf(nil, `package p

import "testing"

var sink []byte

func BenchmarkMoved(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		for range %d {
			sink = make([]byte, 64)
		}
	}
}

func BenchmarkBroken(b *testing.B) { %s }

func Benchmark%s(b *testing.B) {}
`, allocations, more, map[bool]string{true: "Old", false: "New"}[pkg == "old"])},
		"tools/x/a_test.go": {Data: []byte("package x\nfunc BenchmarkOfATool(b *testing.B) {}\n")},
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, tree); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTwoTreesAreRunInTurn(t *testing.T) {
	for name, c := range map[string]struct {
		allocations int
		broken      string
		want        []string
	}{
		"equal":       {1, "", nil},
		"differ":      {2, "", []string{"are worse or allocate differently"}},
		"broken test": {1, `b.Fatal("no")`, []string{"Broken of new/p in the new tree", "exit status 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out, log bytes.Buffer
			r := rounds{
				old: plantTree(t, "old", 1, ""), new: plantTree(t, "new/p", c.allocations, c.broken), dir: t.TempDir(),
				// So few iterations say nothing about time: only allocations may differ here.
				count: 2, benchtime: "100x", bench: regexp.MustCompile(""), out: &out, log: &log,
			}
			err := r.run(context.Background())
			text := fmt.Sprint(err)
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("error is %v, want %q in it\n%s", err, want, &out)
				}
			}
			if differ := strings.Contains(out.String(), "ALLOCATIONS DIFFER"); differ != (name == "differ") {
				t.Errorf("allocations differ: %v\n%s", differ, &out)
			}
			for _, want := range []string{"new/p/Moved", "only in the old tree: old/Old", "only in the new tree: new/p/New"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is missing:\n%s\n%s", want, &out, &log)
				}
			}
			if strings.Contains(log.String(), "OfATool") {
				t.Errorf("a folder that is left out was built:\n%s", &log)
			}
		})
	}
}

func TestATreeWithoutAWorkspaceDoesNotGetThatAroundIt(t *testing.T) {
	outer := t.TempDir()
	inner := filepath.Join(outer, "old")
	file := filepath.Join(outer, "go.work")
	if err := os.WriteFile(file, []byte("go 1.26\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := workspace(outer); got != file {
		t.Errorf("workspace of the outer tree %q, want %q", got, file)
	}
	if got := workspace(inner); got != "off" {
		t.Errorf("workspace of the inner tree %q, want off", got)
	}
}
