package probe

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// judgeOdd probes once and compares the value, or a part of the error.
func judgeOdd(t *testing.T, p Probe, value float64, wantErr string) {
	t.Helper()
	r, err := run(t, p, 5*time.Second)
	shown := r.Detail
	if err != nil {
		shown = err.Error()
	}
	switch {
	case (err != nil) != (wantErr != ""), err == nil && r.Value != value:
		t.Errorf("%+v, %v, want %v or %q", r, err, value, wantErr)
	case err != nil && !strings.Contains(shown, wantErr):
		t.Errorf("error %q, want %q", shown, wantErr)
	case strings.ContainsAny(shown, "\n\x00\x1b\u202e"), len(shown) > maxReason:
		t.Errorf("%q is not fit to be shown", shown)
	}
}

func TestOddPublishedChecks(t *testing.T) {
	crowd := func(n int, s CheckStatus) (all []Check) {
		for i := range n {
			all = append(all, Check{Node: fmt.Sprint(i), Status: s})
		}
		return all
	}
	for name, c := range map[string]struct {
		checks  []Check
		value   float64
		wantErr string
	}{
		"no text":                     {[]Check{{Node: "a", Status: CheckError}}, 1, ""},
		"several lines":               {[]Check{{Node: "a", Status: CheckError, Error: "one\ntwo\x1b[2J"}}, 1, ""},
		"NULs":                        {[]Check{{Node: "a", Status: CheckError, Error: "\x00\x00"}}, 1, ""},
		"a text without end":          {[]Check{{Node: "a", Status: CheckError, Error: strings.Repeat("x", 1<<20)}}, 1, ""},
		"broken UTF-8":                {[]Check{{Node: "a", Status: CheckError, Error: "\xff\xfe"}}, 1, ""},
		"letters that turn the line":  {[]Check{{Node: "a\u202eb", Status: CheckError, Error: "a\u202eb"}}, 1, ""},
		"a node without a name":       {[]Check{{Status: CheckOK}}, 0, ""},
		"a node with a long name":     {[]Check{{Node: strings.Repeat("n", 10_000), Status: CheckError}}, 1, ""},
		"a status of tomorrow":        {[]Check{{Node: "a", Status: 99}}, 1, "UNKNOWN"},
		"a negative status":           {[]Check{{Node: "a", Status: -1}}, 1, "UNKNOWN"},
		"a negative age":              {[]Check{{Node: "a", Status: CheckOK, Age: -time.Hour}}, 0, ""},
		"an age of centuries":         {[]Check{{Node: "a", Status: CheckOK, Age: math.MaxInt64}}, 0, ""},
		"silent for centuries":        {[]Check{{Node: "a", Stale: true, Age: math.MaxInt64}}, 1, "no report for"},
		"silent, and its text":        {[]Check{{Node: "a", Stale: true, Error: "x\ny"}}, 1, "no report for"},
		"an error of a good node":     {[]Check{{Node: "a", Status: CheckOK, Error: "ignored\n"}}, 0, ""},
		"the same node twice":         {[]Check{{Node: "a", Status: CheckOK}, {Node: "a", Status: CheckError}}, 1, ""},
		"10,000 good nodes":           {crowd(10_000, CheckOK), 0, ""},
		"one bad among 10,000":        {append(crowd(10_000, CheckOK), Check{Node: "z", Status: CheckError}), 1, ""},
		"unknown among good ones":     {append(crowd(3, CheckOK), Check{Node: "z"}), 0, ""},
		"a warning among unknown":     {[]Check{{Node: "a"}, {Node: "b", Status: CheckWarning}}, 0.5, ""},
		"an error beats an unknown":   {[]Check{{Node: "a"}, {Node: "b", Status: CheckError}}, 1, ""},
		"silent beside a good one":    {[]Check{{Node: "a", Stale: true}, {Node: "b", Status: CheckOK}}, 0, ""},
		"stopped beside a silent one": {[]Check{{Node: "a", Stopped: true}, {Node: "b", Stale: true, Age: time.Minute}}, 1, "no report for 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			p := build(t, "event", "service = \"shop\"\ncheck = \"db\"", Env{Events: published(c.checks...)})
			judgeOdd(t, p, c.value, c.wantErr)
		})
	}
}

func TestOddPublishedStats(t *testing.T) {
	of := func(e ...EndpointStats) []NodeStats { return []NodeStats{{Node: "a", Endpoints: e}} }
	method := func(success, errors RequestStats) EndpointStats {
		return EndpointStats{Method: "M", Success: success, Errors: errors}
	}
	most := RequestStats{Count: math.MaxInt64}
	for name, c := range map[string]struct {
		metric  string
		nodes   []NodeStats
		value   float64
		wantErr string
	}{
		"no endpoints":              {"count", of(), 0, ""},
		"a method without a name":   {"count", of(EndpointStats{Success: RequestStats{Count: 3}}), 3, ""},
		"a method twice":            {"count", of(method(RequestStats{Count: 1}, RequestStats{}), method(RequestStats{Count: 2}, RequestStats{})), 3, ""},
		"counts at their end":       {"count", of(method(most, most)), 2 * float64(math.MaxInt64), ""},
		"errors at their end":       {"errors", of(method(most, most), method(most, most)), 2 * float64(math.MaxInt64), ""},
		"dropped at its end":        {"dropped", of(EndpointStats{Dropped: most}, EndpointStats{Dropped: most}), 2 * float64(math.MaxInt64), ""},
		"a ratio at the end":        {"error_ratio", of(method(most, most)), 0.5, ""},
		"only errors":               {"error_ratio", of(method(RequestStats{}, RequestStats{Count: 5})), 1, ""},
		"no request at all":         {"error_ratio", of(method(RequestStats{}, RequestStats{})), 0, ""},
		"a mean that is none":       {"mean", of(method(RequestStats{Mean: math.NaN()}, RequestStats{})), 0, "NaN"},
		"an endless mean":           {"mean", of(method(RequestStats{Mean: math.Inf(1)}, RequestStats{})), 0, "Inf"},
		"a negative mean":           {"mean", of(method(RequestStats{Mean: -5}, RequestStats{})), 0, ""},
		"a deviation that is none":  {"std_dev", of(method(RequestStats{StdDev: math.NaN()}, RequestStats{})), 0, "NaN"},
		"a quantile that is none":   {"upper95", of(method(RequestStats{}, RequestStats{Upper95: math.NaN()})), 0, "NaN"},
		"the largest number":        {"upper95", of(method(RequestStats{Upper95: math.MaxFloat64}, RequestStats{})), math.MaxFloat64 / float64(time.Second), ""},
		"the smallest number":       {"upper95", of(method(RequestStats{Upper95: math.SmallestNonzeroFloat64}, RequestStats{})), 0, ""},
		"memory at its end":         {"max_rss", []NodeStats{{Node: "a", MaxRSS: math.MaxUint64}}, math.MaxUint64, ""},
		"times at their end":        {"user_time", []NodeStats{{Node: "a", UserTime: math.MaxUint64}}, math.MaxUint64 * 1e-9, ""},
		"a node without a name":     {"heap_in_use", []NodeStats{{HeapInUse: 7}}, 7, ""},
		"a node twice":              {"heap_in_use", []NodeStats{{Node: "a", HeapInUse: 7}, {Node: "a", HeapInUse: 9}}, 9, ""},
		"silent for centuries":      {"heap_in_use", []NodeStats{{Node: "a", Stale: true, Age: math.MaxInt64}}, 0, "no report for"},
		"a negative age":            {"heap_in_use", []NodeStats{{Node: "a", Age: -time.Hour, HeapInUse: 7}}, 7, ""},
		"100,000 methods of a node": {"count", of(make([]EndpointStats, 100_000)...), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := build(t, "stats", fmt.Sprintf("service = \"shop\"\nmetric = %q", c.metric), Env{Stats: publishedStats(c.nodes...)})
			judgeOdd(t, p, c.value, c.wantErr)
		})
	}
}
