package text

import (
	"math"
	"testing"
)

// Faults: U11.
func TestColumnsAreAlignedAlsoWithWideNames(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "shop": 4, "caf\u00e9": 4, "cafe\u0301": 4, "\u65e5\u672c": 4, "\uff21": 2, "\uff71": 1,
		"\U0001f600": 2, "\u26a0": 1, "\ud55c": 2, "\u0e19\u0e49\u0e33": 2,
	} {
		if got := Width(s); got != want {
			t.Errorf("%+q takes %d columns, want %d", s, got, want)
		}
	}
	got := Table([]int{0, 6}, []string{"ID", "Name", "State"}, []string{"1", "日本", "OK"}, []string{"10", "a long name", ""})
	want := "ID  Name         State\n1   日本         OK\n10  a long name\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := Table(nil); got != "" {
		t.Errorf("a table without rows is %q", got)
	}
}

// Faults: U11.
func TestNumbersForPeopleAreRounded(t *testing.T) {
	for v, want := range map[float64]string{
		13.999986661408867: "14", 0.1 + 0.2: "0.3", 0: "0", -1.5: "-1.5", 1234567: "1234567", 1234567.25: "1234570", 123456: "123456",
		0.000012345678: "0.0000123457", 1e-9: "1e-09", 1e300: "1e+300", 99.99994: "99.9999", 1.0 / 3: "0.333333",
		math.Inf(1): "+Inf", math.MaxFloat64: "1.7976931348623157e+308",
	} {
		if got := Number(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
	if got := Number(math.NaN()); got != "NaN" {
		t.Errorf("NaN: got %s", got)
	}
	if got := ExactNumber(13.999986661408867); got != "13.999986661408867" {
		t.Errorf("exact: got %s", got)
	}
}
