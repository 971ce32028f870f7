package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const planted = `package p

import (
	"os"
	"testing"
)

const variable = "MONITOR_LONG"

func long() bool { return os.Getenv(variable) == "1" }

func scale() int {
	if long() {
		return 2
	}
	return 1
}

func TestT5ANameWithANumber(t *testing.T) {}

// T16: a number in the comment.
func TestClockJumps(t *testing.T) {}

// Some text about T100 and ST1 is no fault case.
func TestOther(t *testing.T) {}

func TestMain(m *testing.M) { os.Exit(m.Run()) }

// T7: waits longer in the long variant.
func TestLongThroughAHelper(t *testing.T) {
	if scale() != 2 {
		t.Error("not the long variant")
	}
}

func TestLongWithoutANumber(t *testing.T) { _ = os.Getenv("MONITOR_LONG") }
`

// plant writes a tree of modules.
func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, tree); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPartsAreFound(t *testing.T) {
	dir := plant(t, map[string]string{
		"a_test.go":         "package main\nimport \"testing\"\nfunc TestT1(t *testing.T) {}\n",
		"guard/b/p_test.go": planted,
		"plain/c_test.go":   "package plain\nimport \"testing\"\nfunc TestOther(t *testing.T) {}\n",
		"tools/d_test.go":   planted,
		"web/e_test.go":     "package web\nimport (\"testing\"; \"x/testkit\")\nfunc TestLong(t *testing.T) { _ = testkit.Nightly() }\n",
	})
	all, err := find(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []part{
		{"root", ".", []string{"TestT1"}},
		{"guard/b", "guard/b", []string{"TestClockJumps", "TestT5ANameWithANumber"}},
		{"guard/b-long", "guard/b", []string{"TestLongThroughAHelper", "TestLongWithoutANumber"}},
		{"web-long", "web", []string{"TestLong"}},
	}
	same := func(a, b part) bool { return a.name == b.name && a.pkg == b.pkg && slices.Equal(a.tests, b.tests) }
	if !slices.EqualFunc(all, want, same) {
		t.Errorf("got  %v\nwant %v", all, want)
	}
	if _, err := choose(all, []string{"store"}); err == nil || !strings.Contains(err.Error(), `no part "store": there are root, guard/b, guard/b-long, web-long`) {
		t.Errorf("unknown part: %v", err)
	}
}

func TestPartsAreRun(t *testing.T) {
	module := "module example\n\ngo 1.26\n"
	of := func(body string) string {
		return "package p\n\nimport \"testing\"\n\nfunc TestT1Of(t *testing.T) { " + body + " }\n"
	}
	for name, c := range map[string]struct{ file, want string }{
		"passes":  {planted, ""},
		"fails":   {of(`t.Error("no")`), "1 tests failed"},
		"skips":   {of(`t.Run("sub", func(t *testing.T) { t.Skip("not root") })`), "1 tests were skipped"},
		"broken":  {of(`undefined()`), "undefined: undefined"},
		"no test": {"//go:build never\n\n" + of(""), "no test ran"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			// A file without tests keeps the package whole where the other is left out.
			dir := plant(t, map[string]string{"go.mod": module, "p/p_test.go": c.file, "p/empty_test.go": "package p\n"})
			err := run(context.Background(), &out, dir, false, nil)
			if (err == nil) != (c.want == "") || !strings.Contains(out.String(), c.want) {
				t.Errorf("error is %v, want %q in\n%s", err, c.want, &out)
			}
		})
	}
}
