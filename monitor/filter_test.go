package monitor

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// buildFilter builds a filter of a kind from its keys in TOML.
func buildFilter(t *testing.T, kind, keys string) (any, error) {
	t.Helper()
	set, problems := Parse("t.toml", "[[monitor]]\nname = \"m\"\n[monitor.probe]\ntype = \"x\"\n[monitor.filter]\ntype = \""+kind+"\"\n"+keys)
	if len(problems) > 0 {
		t.Fatal(problems[0])
	}
	return filters()[kind](set.Monitors[0].filter.Decode)
}

func TestValueFilters(t *testing.T) {
	none := math.NaN()
	for _, c := range []struct {
		kind, keys string
		in, want   []float64
	}{
		{"average", "", []float64{4, 6, 8}, []float64{4, 5, 6}},
		{"average", "window = 2", []float64{4, 6, 8}, []float64{4, 5, 7}},
		{"average", "init = 2.0\nwindow = 3", []float64{4, 6}, []float64{3, 4}},
		{"median", "window = 3", []float64{9, 1, 5, 100}, []float64{9, 5, 5, 5}},
		{"max", "window = 2", []float64{3, 1, 2}, []float64{3, 3, 2}},
		{"min", "window = 2", []float64{3, 1, 2}, []float64{3, 1, 1}},
		{"rate", "", []float64{10, 20, 5}, []float64{none, 5, -7.5}},
	} {
		t.Run(c.kind+" "+c.keys, func(t *testing.T) {
			f, err := buildFilter(t, c.kind, c.keys)
			if err != nil {
				t.Fatal(err)
			}
			var got []float64
			for i, v := range c.in {
				v, ok := f.(valueFilter).value(v, time.Unix(int64(2*i), 0))
				if !ok {
					v = none
				}
				got = append(got, v)
			}
			same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
			if !slices.EqualFunc(got, c.want, same) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestVerdictFilters writes inputs and results as one letter per probe: f is
// failing, o is OK.
func TestVerdictFilters(t *testing.T) {
	for _, c := range []struct{ kind, keys, in, want string }{
		{"consecutive", "", "ffofffofoo", "oooooffffo"},
		{"consecutive", "fail = 1\nrecover = 1", "fof", "fof"},
		{"nofm", "n = 2\nm = 3", "fofooo", "oofooo"},
		{"nofm", "n = 2\nm = 3", "ffoo", "offo"},
	} {
		t.Run(c.kind+" "+c.in, func(t *testing.T) {
			f, err := buildFilter(t, c.kind, c.keys)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, r := range c.in {
				if f.(verdictFilter).verdict(r == 'f') {
					got.WriteByte('f')
				} else {
					got.WriteByte('o')
				}
			}
			if got.String() != c.want {
				t.Errorf("got %s, want %s", got.String(), c.want)
			}
		})
	}
}

// Faults: G21.
func TestFilterSettingsAreChecked(t *testing.T) {
	for _, c := range []struct{ kind, keys, want string }{
		{"average", "window = 0", "window is 0: give 1 to 10000"},
		{"average", "window = 2000000000", "window is 2000000000: give 1 to 10000"},
		{"average", "windows = 3", "windows: unknown key; did you mean \"window\"?"},
		{"average", "init = nan", "init: NaN is not a finite number"},
		{"consecutive", "fail = 0", "fail is 0 and recover 2: give 1 to 10000"},
		{"nofm", "n = 4\nm = 3", "n must be at least 1 and at most m"},
		{"rate", "window = 3", "window: unknown key; known are none"},
	} {
		_, err := buildFilter(t, c.kind, c.keys)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s %s: got %v, want %s", c.kind, c.keys, err, c.want)
		}
	}
	// An integer is accepted for a float.
	if _, err := buildFilter(t, "average", "init = 0\nwindow = 3"); err != nil {
		t.Error(err)
	}
}

// Faults: G22.
func TestAverageShowsAnOutageAtOnce(t *testing.T) {
	f, err := buildFilter(t, "average", "init = 0\nwindow = 10")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := f.(valueFilter).value(100, time.Now()); got != 100 {
		t.Errorf("the first value is averaged to %v", got)
	}
}

// Faults: G22.
func FuzzThresholdFilter(f *testing.F) {
	f.Add(1.0, 2.0, 3.0, uint8(0))
	f.Fuzz(func(t *testing.T, a, b, c float64, which uint8) {
		kinds := []string{"average", "median", "max", "min"}
		kind := kinds[int(which)%len(kinds)]
		built, err := filters()[kind](func(any) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []float64{a, b, c} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				if (Thresholds{Min: -math.MaxFloat64, Max: math.MaxFloat64}).verdict(v) != Failing {
					t.Fatalf("%v does not fail", v)
				}
				continue
			}
			got, ok := built.(valueFilter).value(v, time.Now())
			if ok && (math.IsNaN(got) || math.IsInf(got, 0)) {
				t.Fatalf("%s turned finite values into %v", kind, got)
			}
		}
	})
}
