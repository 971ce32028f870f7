package document

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What is near is suggested, what is not is not.
func TestNearestWords(t *testing.T) {
	known := []string{"args", "command", "expect_status", "to", "type", "min", "max"}
	for word, want := range map[string]string{
		"agrs": "args", "tyep": "type", "mni": "min", "xei": "", "arg": "args", "Command": "command", "comand": "command", "expectStatus": "expect_status",
		"expect-status": "expect_status", "ot": "to", "typ": "type", "miin": "min", "mean": "", "x": "", "": "", "url": "",
		strings.Repeat("x", 10_000): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%.20q: got %q, want %q", word, got, want)
		}
	}
}

// Two adjacent swapped letters count as one, but not with a letter added between them.
func TestEditDistance(t *testing.T) {
	for words, want := range map[[2]string]int{
		{"args", "args"}: 0, {"agrs", "args"}: 1, {"abcd", "badc"}: 2, {"ca", "abc"}: 3, {"kitten", "sitting"}: 3, {"", "ab"}: 2,
	} {
		a, b := words[0], words[1]
		if got, ok := editDistance(a, b, want); got != want || !ok {
			t.Errorf("%q and %q: got %d, %v, want %d", a, b, got, ok, want)
		}
		if got, ok := editDistance(b, a, want); got != want || !ok {
			t.Errorf("%q and %q: got %d, %v, want %d", b, a, got, ok, want)
		}
		if _, ok := editDistance(a, b, want-1); ok {
			t.Errorf("%q and %q are within %d", a, b, want-1)
		}
	}
}

func TestNoHintFromTooManyWords(t *testing.T) {
	known := make([]string, mostKnown+1)
	for i := range known {
		known[i] = fmt.Sprint("word", i)
	}
	if got := Nearest("wrod0", known[:mostKnown]); got != "word0" {
		t.Errorf("got %q", got)
	}
	if got := Nearest("wrod0", known); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestHintsAreComputedWhenShown(t *testing.T) {
	calls := 0
	err := unknownKey("agrs", "", nil, func() []string {
		calls++
		return []string{"args"}
	})
	wrapped := errors.Join(&kindError{"probe", "exec", err})
	if ProblemsOf("a.toml", "m", wrapped); calls != 0 {
		t.Errorf("computed %d times", calls)
	}
	if got, want := wrapped.Error(), `probe exec: unknown key; did you mean "args"?`; got != want || calls != 1 {
		t.Errorf("got %s, computed %d times, want %s", got, calls, want)
	}
}

// listDecoder decodes [[monitor]] into a struct with the keys of a monitor.
type listDecoder struct{}

func (listDecoder) Sections() []string { return []string{"monitor"} }

func (listDecoder) Decode(_ context.Context, doc *Document, lists map[string][]map[string]any) []*Problem {
	var problems []*Problem
	for i, tree := range lists["monitor"] {
		var keys struct {
			Name     string         `toml:"name"`
			Interval int            `toml:"interval"`
			Timeout  int            `toml:"timeout"`
			Retry    int            `toml:"retry_interval"`
			Min      float64        `toml:"min"`
			Max      float64        `toml:"max"`
			WarnMin  float64        `toml:"warn_min"`
			WarnMax  float64        `toml:"warn_max"`
			Failures int            `toml:"failures_before_alert"`
			Success  int            `toml:"successes_before_recover"`
			Repeat   int            `toml:"repeat"`
			Labels   map[string]any `toml:"labels"`
			Probe    map[string]any `toml:"probe"`
			Filter   map[string]any `toml:"filter"`
			Actions  []any          `toml:"actions"`
		}
		problems = append(problems, ProblemsOf(doc.File, "", Decode(tree, fmt.Sprint("monitor.", i), doc.Lines, &keys))...)
	}
	return problems
}

func (listDecoder) Finish() []*Problem { return nil }

// readList reads a document by a listDecoder.
func readList(t testing.TB, text string) []*Problem {
	t.Helper()
	doc, problem := Parse("a.toml", text)
	if problem != nil {
		t.Fatal(problem)
	}
	return doc.Read(t.Context(), listDecoder{})
}

func TestFirstOfManyProblemsHaveHints(t *testing.T) {
	problems := readList(t, strings.Repeat("[[monitor]]\nnamee = 1\n", MaxProblems+5))
	if len(problems) != MaxProblems+1 {
		t.Fatalf("%d problems", len(problems))
	}
	for i, want := range map[int]string{
		0:               `a.toml:2: namee: unknown key; did you mean "name"?`,
		MaxProblems - 1: `a.toml:2000: namee: unknown key; did you mean "name"?`,
		MaxProblems:     `a.toml: at least 1000 errors: the rest of the file is not checked; correct these first`,
	} {
		if got := problems[i].Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// BenchmarkManyProblems reads 150,000 monitors with an unknown key and shows the
// problems.
func BenchmarkManyProblems(b *testing.B) {
	text := strings.Repeat("[[monitor]]\nnamee=1\n\n\n\n", 150_000)
	b.ReportAllocs()
	for b.Loop() {
		problems := readList(b, text)
		SortProblems(problems)
		for _, p := range problems {
			_ = p.Error()
		}
	}
}
