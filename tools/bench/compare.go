package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// tolerance is how many times worse a figure may be. What differs by less is not
// reported, and neither is what differs by less than the old tree from itself.
const tolerance = 1.15

// sides holds the figures of both trees. The names are those of the new tree; a
// benchmark has one value of each unit for each round.
type sides struct {
	old, new *results
}

// comparison is one line of the report.
type comparison struct {
	name, unit string
	old, new   float64 // medians
	ratio      float64 // new/old
	spread     float64 // of the old: its third quartile against its first
	worse      bool

	// Of the first line of a benchmark only.
	oldAllocs, newAllocs string
	differ               bool
}

// compare returns a line for each figure that both sides have, and the names that
// only one side has.
func (s sides) compare() (lines []comparison, onlyOld, onlyNew []string) {
	for _, name := range s.old.names {
		if s.new.figures[name] == nil {
			onlyOld = append(onlyOld, name)
			continue
		}
		before, after := s.old.figures[name], s.new.figures[name]
		first := len(lines)
		for _, unit := range judged(s.old.units[name]) {
			if after[unit] != nil {
				lines = append(lines, compareFigure(name, unit, before[unit], after[unit]))
			}
		}
		if len(lines) > first {
			lines[first].countAllocations(before[allocations], after[allocations])
		}
	}
	for _, name := range s.new.names {
		if s.old.figures[name] == nil {
			onlyNew = append(onlyNew, name)
		}
	}
	return lines, onlyOld, onlyNew
}

// judged returns the units that are compared: rates, heap, and one of time. CPU
// time is preferred, because it suffers less from the other programs of a machine.
// Percentiles and counts of a benchmark are not compared.
func judged(units []string) (all []string) {
	time := "ns/op"
	for _, unit := range units {
		switch {
		case strings.HasPrefix(strings.ToLower(unit), "cpu-"):
			time = unit
		case moreIsBetter(unit), unit == "B/entry":
			all = append(all, unit)
		}
	}
	if slices.Contains(units, time) {
		all = append([]string{time}, all...)
	}
	return all
}

func moreIsBetter(unit string) bool { return strings.HasSuffix(unit, "/s") }

const allocations = "allocs/op"

func compareFigure(name, unit string, before, after []float64) comparison {
	q1, m, q3 := quartiles(before)
	_, n, _ := quartiles(after)
	c := comparison{name: name, unit: unit, old: m, new: n, ratio: quotient(n, m), spread: quotient(q3, q1)}
	worse := c.ratio
	if moreIsBetter(unit) {
		worse = quotient(m, n)
	}
	c.worse = worse > tolerance && worse > c.spread
	return c
}

func (c *comparison) countAllocations(before, after []float64) {
	c.oldAllocs, c.newAllocs = spanText(before), spanText(after)
	c.differ = apart(before, after)
}

// quotient is 1 where both are zero.
func quotient(a, b float64) float64 {
	if a == b {
		return 1
	}
	return a / b
}

// quartiles returns the first quartile, the median and the third quartile.
func quartiles(values []float64) (q1, median, q3 float64) {
	all := slices.Sorted(slices.Values(values))
	at := func(share float64) float64 {
		place := share * float64(len(all)-1)
		low := int(place)
		high := min(low+1, len(all)-1)
		return all[low] + (all[high]-all[low])*(place-float64(low))
	}
	return at(0.25), at(0.5), at(0.75)
}

// apart says whether the two have no value in common, not even between their least
// and their most: a benchmark with several goroutines does not always allocate the
// same.
func apart(a, b []float64) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	return slices.Max(a) < slices.Min(b) || slices.Max(b) < slices.Min(a)
}

func spanText(values []float64) string {
	if len(values) == 0 {
		return "-"
	}
	low, high := short(slices.Min(values)), short(slices.Max(values))
	if low == high {
		return low
	}
	return low + " to " + high
}

// printComparison writes the report and returns the number of lines that fail.
func printComparison(w io.Writer, s sides) (failures int) {
	lines, onlyOld, onlyNew := s.compare()
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "benchmark\tunit\told\tnew\tnew/old\told/old\tallocs old\tallocs new\t")
	for _, c := range lines {
		var faults []string
		if c.worse {
			faults = append(faults, "WORSE")
		}
		if c.differ {
			faults = append(faults, "ALLOCATIONS DIFFER")
		}
		if len(faults) > 0 {
			failures++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.2f\t%.2f\t%s\t%s\t%s\n", c.name, c.unit, short(c.old), short(c.new), c.ratio, c.spread, c.oldAllocs, c.newAllocs, strings.Join(faults, ", "))
	}
	_ = table.Flush()
	for _, only := range []struct {
		tree  string
		names []string
	}{{"old", onlyOld}, {"new", onlyNew}} {
		for _, name := range only.names {
			fmt.Fprintf(w, "only in the %s tree: %s\n", only.tree, name)
		}
	}
	return failures
}

// pair is a benchmark function of both trees, or of one of them if the other
// package is empty.
type pair struct{ function, old, new string }

// pairs finds for each benchmark function of the old packages that of the new
// ones. Packages may have moved, so the name of the function counts. Where several
// packages have one of that name, those of equal paths belong together, and then
// the last one left on either side.
func pairs(before, after map[string][]string) (all []pair) {
	functions := map[string]bool{}
	for name := range maps.Keys(before) {
		functions[name] = true
	}
	for name := range maps.Keys(after) {
		functions[name] = true
	}
	for _, function := range slices.Sorted(maps.Keys(functions)) {
		var left, right []string
		for _, pkg := range before[function] {
			if slices.Contains(after[function], pkg) {
				all = append(all, pair{function, pkg, pkg})
			} else {
				left = append(left, pkg)
			}
		}
		for _, pkg := range after[function] {
			if !slices.Contains(before[function], pkg) {
				right = append(right, pkg)
			}
		}
		if len(left) == 1 && len(right) == 1 {
			all = append(all, pair{function, left[0], right[0]})
			continue
		}
		for _, pkg := range left {
			all = append(all, pair{function: function, old: pkg})
		}
		for _, pkg := range right {
			all = append(all, pair{function: function, new: pkg})
		}
	}
	return all
}
