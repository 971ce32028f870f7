package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// results are the figures of all benchmarks, in the order they came.
type results struct {
	names   []string // PACKAGE/BENCHMARK, each once
	figures map[string]map[string][]float64
	units   map[string][]string // by name, in order
	notes   []string            // lines that begin with #
}

func newResults() *results {
	return &results{figures: map[string]map[string][]float64{}, units: map[string][]string{}}
}

// cores is the suffix that go test puts behind a name.
var cores = regexp.MustCompile(`-\d+$`)

// read takes in what go test -bench printed. A failed test is an error: its
// figures are not worth a page.
func (r *results) read(in io.Reader) error {
	var pkg string
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "pkg: "); ok {
			_, pkg, _ = strings.Cut(name, "/monitor-srv/")
		}
		if note, ok := strings.CutPrefix(line, "# "); ok {
			r.notes = append(r.notes, note)
		}
		if strings.HasPrefix(line, "--- FAIL") || strings.HasPrefix(line, "FAIL") || strings.HasPrefix(line, "panic:") {
			return fmt.Errorf("a benchmark failed: %s", line)
		}
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		if _, err := strconv.Atoi(fields[1]); err != nil {
			continue
		}
		name := pkg + "/" + strings.TrimPrefix(fields[0], "Benchmark")
		if !isPeer(name) {
			name = cores.ReplaceAllString(name, "")
		}
		if err := r.add(name, fields[2:]); err != nil {
			return fmt.Errorf("line %q: %w", line, err)
		}
	}
	return lines.Err()
}

func (r *results) add(name string, fields []string) error {
	if r.figures[name] == nil {
		r.figures[name] = map[string][]float64{}
		r.names = append(r.names, name)
	}
	for len(fields) >= 2 {
		v, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return err
		}
		unit := fields[1]
		if r.figures[name][unit] == nil {
			r.units[name] = append(r.units[name], unit)
		}
		r.figures[name][unit] = append(r.figures[name][unit], v)
		fields = fields[2:]
	}
	return nil
}

// median returns the median of the figure's runs.
func (r *results) median(name, unit string) (float64, error) {
	all := slices.Sorted(slices.Values(r.figures[name][unit]))
	if len(all) == 0 {
		return 0, fmt.Errorf("no figure %s of Benchmark %s", unit, name)
	}
	return (all[len(all)/2] + all[(len(all)-1)/2]) / 2, nil
}

// peers is the start of the names of the side by side run.
const peers = "test/peers/"

// ranPeers and ranBenchmarks say whether there is any figure of the side by side
// run, and of the benchmarks.
func (r *results) ranPeers() bool { return slices.ContainsFunc(r.names, isPeer) }
func (r *results) ranBenchmarks() bool {
	return slices.ContainsFunc(r.names, func(name string) bool { return !isPeer(name) })
}

func isPeer(name string) bool { return strings.HasPrefix(name, peers) }
