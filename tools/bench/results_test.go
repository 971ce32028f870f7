package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const printed = `pkg: github.com/microhq/monitor-srv/store
BenchmarkPut/nodes/10-2   	 100	 300 ns/op	 200 cpu-ns/op
BenchmarkPut/nodes/10-2   	 100	 900 ns/op	 220 cpu-ns/op
BenchmarkPut/nodes/10-2   	 100	 310 ns/op	 400 cpu-ns/op
BenchmarkPut/nodes/1000000-2   	 100	 300 ns/op	 660 cpu-ns/op
# a note
pkg: github.com/microhq/monitor-srv/test/peers
BenchmarkTCP/100-a	3	1.5 RSS-MB
`

func read(t *testing.T, text string) *results {
	t.Helper()
	r := newResults()
	if err := r.read(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMedianOfTheRuns(t *testing.T) {
	r := read(t, printed)
	for _, c := range []struct {
		name, unit string
		want       float64
	}{{"store/Put/nodes/10", "ns/op", 310}, {"store/Put/nodes/10", cpuNS, 220}, {"test/peers/TCP/100-a", "RSS-MB", 1.5}} {
		if got, err := r.median(c.name, c.unit); err != nil || got != c.want {
			t.Errorf("%s %s is %v, %v, want %v", c.name, c.unit, got, err, c.want)
		}
	}
	if len(r.notes) != 1 || r.notes[0] != "a note" {
		t.Errorf("notes are %q", r.notes)
	}
}

func TestFailedBenchmarkIsAnError(t *testing.T) {
	for _, line := range []string{"--- FAIL: BenchmarkPut", "FAIL	github.com/microhq/monitor-srv/store", "panic: no"} {
		if err := newResults().read(strings.NewReader(line)); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}

func TestRowsAreHonest(t *testing.T) {
	big, small := of("store/Put/nodes/1000000", cpuNS), of("store/Put/nodes/10", cpuNS)
	rows, err := evaluate([]target{
		{"1", "too much", big, "ns", small, "10", ratioAtMost(2)},
		{"1", "fine", big, "ns", small, "10", ratioAtMost(3)},
		{"1", "too little", big, "ns", nil, "", atLeast(1000)},
		{"1", "gone", of("store/Gone", cpuNS), "ns", nil, "", atMost(1)},
	}, read(t, printed))
	if err == nil || !strings.Contains(err.Error(), "store/Gone") {
		t.Errorf("a figure that is gone: %v", err)
	}
	for i, want := range []string{"**not met**", "met", "**not met**", "not measured"} {
		if rows[i].met != want {
			t.Errorf("%s: %q, want %q", rows[i].what, rows[i].met, want)
		}
	}
	if rows[0].ratio != "3 times" || rows[0].want != "at most 2 times" || rows[0].measured != "660 ns" {
		t.Errorf("row is %+v", rows[0])
	}
}

// TestComparisonAloneWritesThePage has no file of the benchmarks.
// Faults: U16.
func TestComparisonAloneWritesThePage(t *testing.T) {
	dir := t.TempDir()
	_, sideBySide, _ := strings.Cut(printed, "# a note\n")
	peersFile, page := filepath.Join(dir, "peers.txt"), filepath.Join(dir, "page.md")
	if err := os.WriteFile(peersFile, []byte(sideBySide), 0o600); err != nil {
		t.Fatal(err)
	}
	// Only the figures of peers that this short file lacks are errors.
	if err := run(page, []string{filepath.Join(dir, "bench.txt"), peersFile}); err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			if !strings.Contains(line, peers) {
				t.Error(line)
			}
		}
	}
	text, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(text), "not run: `make bench`") {
		t.Errorf("the page is %q, %v", text, err)
	}
}

// What did not run is no error, so that either half can be the first.
func TestWhatDidNotRunIsNoError(t *testing.T) {
	benchmarks, _, _ := strings.Cut(printed, "pkg: github.com/microhq/monitor-srv/test")
	_, sideBySide, _ := strings.Cut(printed, "# a note\n")
	for name, c := range map[string]struct {
		text    string
		name    string
		remedy  string
		missing bool
	}{
		"no peers":             {benchmarks, peers + "HTTP/1000/ours", "make bench-peers", false},
		"no benchmarks":        {sideBySide, "store/Put/nodes/10", "make bench`", false},
		"a peer is gone":       {printed, peers + "HTTP/1000/ours", "not measured", true},
		"a benchmark is gone":  {printed, "store/Gone", "not measured", true},
		"only peers, one gone": {sideBySide, peers + "HTTP/1000/ours", "not measured", true},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := evaluate([]target{{"6", "CPU", of(c.name, cpuS), "CPU-s", nil, "", atMost(1)}}, read(t, c.text))
			if (err != nil) != c.missing || !strings.Contains(rows[0].met, c.remedy) {
				t.Errorf("%+v, %v", rows, err)
			}
		})
	}
}

func TestPageIsWrittenFromOneFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	page := filepath.Join(dir, "page.md")
	_, sideBySide, _ := strings.Cut(printed, "# a note\n")
	files := []string{filepath.Join(dir, "missing.txt"), write("peers.txt", sideBySide)}
	// The figures of other programs are missing in it, which run says after it wrote.
	if err := run(page, files); err == nil || strings.Contains(err.Error(), "store/") {
		t.Errorf("error is %v, want one about the side by side run alone", err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"not run: `make bench`", "| 100-a | 1.5 |", "test/peers/TCP/100-a  1.5 RSS-MB"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in the page:\n%s", want, text)
		}
	}
	if err := run(page, files[:1]); err == nil {
		t.Error("a page is made of no file at all")
	}
}

// A machine may be several times slower than the one the targets were set on, so
// a figure of time says little without another of the same run. Ratios, counts and
// shares need none.
func TestAbsoluteTargetsHaveAReference(t *testing.T) {
	for _, target := range targets() {
		if target.base == nil && target.unit != "times" && target.unit != "" {
			t.Errorf("target %q of %s has no figure of the same run beside it", target.what, target.unit)
		}
	}
}
