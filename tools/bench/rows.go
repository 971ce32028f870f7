package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// value is a figure taken from the results.
type value func(*results) (float64, error)

// of is the median of one figure.
func of(name, unit string) value {
	return func(r *results) (float64, error) { return r.median(name, unit) }
}

// most is the largest of the medians of all benchmarks whose names begin so.
func most(unit string, prefixes ...string) value {
	return func(r *results) (float64, error) {
		found, largest := false, math.Inf(-1)
		for _, name := range r.names {
			for _, prefix := range prefixes {
				if strings.HasPrefix(name, prefix) && r.figures[name][unit] != nil {
					v, err := r.median(name, unit)
					if err != nil {
						return 0, err
					}
					found, largest = true, max(largest, v)
				}
			}
		}
		if !found {
			return 0, fmt.Errorf("no figure %s of a Benchmark %s", unit, strings.Join(prefixes, " or "))
		}
		return largest, nil
	}
}

// scaled is the value in another unit.
func scaled(v value, by float64) value {
	return func(r *results) (float64, error) {
		f, err := v(r)
		return f * by, err
	}
}

// size is the value without its sign.
func size(v value) value {
	return func(r *results) (float64, error) {
		f, err := v(r)
		return math.Abs(f), err
	}
}

// target is a figure and what is wanted of it.
type target struct {
	number  string // in the plan; empty for what the plan does not number
	what    string
	value   value
	unit    string
	base    value  // the baseline or peer of the same run; nil if there is none
	against string // its name
	bound   bound
}

// bound is what is wanted of the value, or of its ratio to the baseline.
type bound struct {
	ofRatio, atLeast bool
	limit            float64
}

func atMost(v float64) bound       { return bound{limit: v} }
func atLeast(v float64) bound      { return bound{limit: v, atLeast: true} }
func ratioAtMost(v float64) bound  { return bound{limit: v, ofRatio: true} }
func ratioAtLeast(v float64) bound { return bound{limit: v, ofRatio: true, atLeast: true} }

// timesLess wants the value to be so many times less than the baseline.
func timesLess(v float64) bound { return ratioAtMost(1 / v) }

func (b bound) text(unit string) string {
	switch {
	case b.ofRatio && !b.atLeast && b.limit < 1:
		return fmt.Sprintf("at least %s times less", short(1/b.limit))
	case b.ofRatio && !b.atLeast:
		return fmt.Sprintf("at most %s times", short(b.limit))
	case b.ofRatio:
		return fmt.Sprintf("at least %s times", short(b.limit))
	case b.atLeast:
		return fmt.Sprintf("at least %s %s", short(b.limit), unit)
	default:
		return strings.TrimSpace(fmt.Sprintf("at most %s %s", short(b.limit), unit))
	}
}

func (b bound) met(v, ratio float64) bool {
	if b.ofRatio {
		v = ratio
	}
	if b.atLeast {
		return v >= b.limit
	}
	return v <= b.limit
}

// row is a line of the table.
type row struct{ target, what, measured, want, base, ratio, met string }

// evaluate makes the rows. The error names the figures that the benchmarks no
// longer report; those of programs that were not run are none.
func evaluate(all []target, r *results) (rows []row, missing error) {
	for _, t := range all {
		row := row{target: t.number, what: t.what, want: t.bound.text(t.unit), base: "–", ratio: "–"}
		v, err := t.value(r)
		var base float64
		if err == nil && t.base != nil {
			base, err = t.base(r)
		}
		switch {
		case err != nil && strings.Contains(err.Error(), peers) && !r.ranPeers():
			row.measured, row.met = "–", "not run: `make bench-peers`"
		case err != nil && !strings.Contains(err.Error(), peers) && !r.ranBenchmarks():
			row.measured, row.met = "–", "not run: `make bench`"
		case err != nil:
			row.measured, row.met = "–", "not measured"
			missing = errors.Join(missing, err)
		default:
			row.fill(t, v, base)
		}
		rows = append(rows, row)
	}
	return rows, missing
}

func (r *row) fill(t target, v, base float64) {
	r.measured = strings.TrimSpace(short(v) + " " + t.unit)
	if t.base != nil {
		r.base = fmt.Sprintf("%s: %s", t.against, short(base))
		switch ratio := v / base; {
		case v == base:
			r.ratio = "the same"
		case v == 0 || base == 0:
			r.ratio = "–"
		case ratio < 0.95:
			r.ratio = short2(1/ratio) + " times less"
		default:
			r.ratio = short2(ratio) + " times"
		}
	}
	r.met = "**not met**"
	if t.bound.met(v, v/base) {
		r.met = "met"
	}
}

// short2 keeps two digits.
func short2(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

// short writes a number with about three digits and without an exponent.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1000:
		if math.IsInf(v, 0) {
			return "infinite"
		}
		s := fmt.Sprintf("%.0f", v)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case a >= 100 || a == math.Trunc(a):
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return strings.TrimSuffix(fmt.Sprintf("%.2f", v), "0")
	default:
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
	}
}

func printRows(w io.Writer, rows []row) {
	fmt.Fprintln(w, "| target | figure | measured | wanted | same run | ratio | |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n", r.target, r.what, r.measured, r.want, r.base, r.ratio, r.met)
	}
}
