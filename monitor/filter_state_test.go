package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

// remembered is a filter of each kind with the results of a probe that it can tell from
// one that has just begun.
var remembered = map[string]string{
	"average": "window = 3", "median": "window = 3", "max": "window = 3", "min": "window = 3",
	"rate": "", "consecutive": "", "nofm": "n = 2\nm = 3",
}

func mustBuild(t *testing.T, kind string) any {
	t.Helper()
	f, err := buildFilter(t, kind, remembered[kind])
	return must(t, f, err)
}

// Each kind of filter goes on after a restart at any moment as if there was none.
// Faults: T49.
func TestFiltersGoOnOverRestarts(t *testing.T) {
	if !maps.EqualFunc(remembered, filters(), func(string, filterKind) bool { return true }) {
		t.Fatalf("%d kinds of filters are tested, of %d", len(remembered), len(filters()))
	}
	at := func(i int) time.Time { return time.Unix(int64(10*i), 0) }
	values := []float64{9, 1, 5, 1e300, 7, -3, 0, 2, 8}
	output := func(t *testing.T, kind string, restartBefore int) (out string) {
		f := mustBuild(t, kind)
		for i, v := range values {
			if i == restartBefore {
				data, _ := json.Marshal(f.(retainer).state(at(i)))
				var s filterState
				if err := errors.Join(json.Unmarshal(data, &s), s.check()); err != nil {
					t.Fatal(err)
				}
				f = mustBuild(t, kind)
				f.(retainer).recall(s, at(i))
			}
			if value, ok := f.(valueFilter); ok {
				filtered, enough := value.value(v, at(i))
				out += fmt.Sprint(filtered, enough, " ")
			} else {
				out += fmt.Sprint(f.(verdictFilter).verdict(v > 2), " ")
			}
		}
		return out
	}
	for kind := range remembered {
		want := output(t, kind, -1)
		for i := range values {
			if got := output(t, kind, i); got != want {
				t.Errorf("%s: restarted before value %d: got %s, want %s", kind, i, got, want)
			}
		}
	}
}

// A rate needs the time since the value before. If nobody knows how long the instance
// was down, because the clock was set back, the first value has no rate.
func TestRateIsNotComputedOverAnUnknownTime(t *testing.T) {
	const truth = 50 * time.Second
	for _, known := range []time.Duration{0, truth} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			counter := func(context.Context, string) (probe.Result, error) {
				return probe.Result{Value: 10 * time.Since(began).Seconds()}, nil
			}
			files := monitorTOML("m", "interval = 10\nmax = 20\n[monitor.filter]\ntype = \"rate\"")
			l := startInstance(t, testkit.NewMemDisk(), files)
			l.setProbe(counter)
			time.Sleep(time.Minute)
			records, d := snapshotOf(t, l.Group), l.kill()
			time.Sleep(truth)
			l = startAfter(t, d, files, recalling(t, records, known))
			l.setProbe(counter)
			before := l.List(Filter{})[0].Probes
			time.Sleep(10 * time.Second)
			after := l.List(Filter{})[0]
			l.stop()
			if after.Probes != before+1 || after.State != OK || known > 0 && math.Abs(after.Value-10) > 0.1 || l.sentEvents() != "" {
				t.Errorf("down %v: after the first probe %+v; notified %q", known, after, l.sentEvents())
			}
		})
	}
}
