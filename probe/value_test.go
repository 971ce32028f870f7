package probe

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

// Faults: T42.
func TestValuesAreParsedStrictly(t *testing.T) {
	good := map[string]float64{
		"0": 0, " 1 ": 1, "\t12.5\n": 12.5, "-3": -3, "+4": 4, "1e3": 1000, ".5": .5, "5.": 5,
		"-0": 0, "0e999": 0, "1e-999": 0, "00012": 12, "1.7976931348623157e308": math.MaxFloat64,
	}
	for text, want := range good {
		got, err := ParseValue(text)
		if err != nil || got != want || math.Signbit(got) != math.Signbit(want) {
			t.Errorf("ParseValue(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	bad := []string{
		"", "  ", "\n", "NaN", "nan", "Inf", "+Inf", "-Inf", "infinity", "1e400", "-1e999", "0x1p4", "0x10", "1_000",
		"1,5", "1 2", "1\n2", "one", "1s", "--1", "1e", "e1", "+", ".", "1\x00", "\u0661", strings.Repeat("1", maxNumber+1),
	}
	for _, text := range bad {
		if got, err := ParseValue(text); err == nil {
			t.Errorf("ParseValue(%q) = %v, want an error", text, got)
		}
	}
}

// Faults: G5.
func TestPrintedNaNIsFailure(t *testing.T) {
	for _, said := range []string{"nan", "NaN", "inf", "-Inf", "0x1p4"} {
		p := build(t, "exec", `command = "echo"`+"\nparse = true\nargs = ["+strconv.Quote(said)+"]", Env{})
		fails(t, p, "is not a decimal number")
	}
}

// Faults: T42.
func FuzzParseValue(f *testing.F) {
	for _, s := range []string{"1", " 1 ", "1e400", "NaN", "0x1p4", "1,5", "-0", "", "1_0", "\u00a07", "1e-5000", "Inf"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseValue(text)
		if err != nil {
			if v != 0 {
				t.Fatalf("ParseValue(%q) = %v with an error", text, v)
			}
			return
		}
		if math.IsNaN(v) || math.IsInf(v, 0) || v == 0 && math.Signbit(v) {
			t.Fatalf("ParseValue(%q) = %v, want a finite number and no negative zero", text, v)
		}
		// What is accepted is what the standard library reads, and in decimal.
		trimmed := strings.TrimSpace(text)
		want, err := strconv.ParseFloat(trimmed, 64)
		if err != nil || want != v {
			t.Fatalf("ParseValue(%q) = %v, strconv says %v, %v", text, v, want, err)
		}
		if strings.ContainsAny(trimmed, "xX_pPnNiI") {
			t.Fatalf("ParseValue(%q) accepted what is not decimal", text)
		}
		again, err := ParseValue(strconv.FormatFloat(v, 'g', -1, 64))
		if err != nil || again != v {
			t.Fatalf("ParseValue(%q) = %v, written and read again %v, %v", text, v, again, err)
		}
	})
}
