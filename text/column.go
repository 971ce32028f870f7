package text

import (
	"math"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Width returns the number of columns that s takes in a terminal: two for wide
// characters, none for combining marks.
func Width(s string) int {
	n := 0
	for _, r := range s {
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// Pad returns s with spaces up to a number of columns.
func Pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(0, columns-Width(s)))
}

// Table returns rows as lines whose columns are aligned, two spaces apart. A column is
// at least as wide as least says; the last one is not padded.
func Table(least []int, rows ...[]string) string {
	widths := append([]int{}, least...)
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(cell))
		}
	}
	var all strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			_, _ = line.WriteString(Pad(cell, widths[i]))
			if i < len(row)-1 {
				_, _ = line.WriteString("  ")
			}
		}
		_, _ = all.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return all.String()
}

// digits are the significant ones of Number.
const digits = 6

// Number returns a value for people, rounded to six significant digits unless it is a
// whole number. Programs get the exact one.
func Number(v float64) string {
	if v == math.Trunc(v) {
		return ExactNumber(v)
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil { // infinite, or too large once rounded
		rounded = v
	}
	return ExactNumber(rounded)
}

// ExactNumber returns a value with all its digits. It avoids the exponent that %v gives
// to values such as 1234567.
func ExactNumber(v float64) string {
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e15) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
