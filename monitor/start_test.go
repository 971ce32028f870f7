package monitor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/probe"
)

// startMonitor has two receivers: one is notified of a start at once, one when the
// monitor is good.
func startMonitor(keys string) string {
	return "[[monitor]]\nname = \"m\"\ninterval = 10\n" + keys + "\n[monitor.probe]\ntype = \"fake\"\n" +
		inlineAction("at once") + inlineAction("once good") + "good = true\n"
}

// warningsFail are keys with which the value 1 is a warning and a failure.
const warningsFail = "max = 2\nwarn_max = 0.5\nstatus = [\"WARNING\", \"ERROR\"]"

// results returns a probe function that gives results in order, "+", "-" or the value 1
// for "!", and then repeats the last one.
func results(of string) probeFunc {
	return func(context.Context, string) (probe.Result, error) {
		now := of[0]
		if len(of) > 1 {
			of = of[1:]
		}
		switch now {
		case '-':
			return probe.Result{}, errors.New("down")
		case '!':
			return probe.Result{Value: 1}, nil
		}
		return probe.Result{}, nil
	}
}

// Faults: U2.
func TestStartIsNotifiedOnceGoodAndNeverAheadOfAFailure(t *testing.T) {
	for name, c := range map[string]struct{ keys, results, want string }{
		"good":                         {"", "+", "m:init"},
		"fails first":                  {"", "-+", "m:fail m:recover"},
		"fails at once":                {"", "-", "m:fail"},
		"fails later":                  {"", "+-+", "m:init m:fail m:recover"},
		"fails after confirmation":     {"failures_before_alert = 3", "---+", "m:fail m:recover"},
		"recovers during confirmation": {"failures_before_alert = 3", "--+", "m:init"},
		"warnings that fail":           {"failures_before_alert = 3\n" + warningsFail, "!", "m:fail"},
		"warnings that do not":         {"failures_before_alert = 3\nmax = 2\nwarn_max = 0.5", "!", "m:init"},
	} {
		t.Run(name, func(t *testing.T) {
			withBench(t, func(t *testing.T, b *bench) {
				b.setProbe(results(c.results))
				b.mustApply(t, startMonitor(c.keys))
				time.Sleep(2 * time.Minute)
				if got := b.notifiedTo("once good"); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				if got := b.notifiedTo("at once"); !strings.HasPrefix(got, "m:init") {
					t.Errorf("the one that wants every start got %q", got)
				}
			})
		})
	}
}

// Faults: U2.
func TestEditsAreNoStarts(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		want := func(when, want string) {
			t.Helper()
			time.Sleep(time.Minute)
			if got := b.notifiedTo("once good"); got != want {
				t.Errorf("%s: got %q, want %q", when, got, want)
			}
		}
		b.mustApply(t, startMonitor(""))
		want("start", "m:init")
		b.mustApply(t, "# a comment\n"+startMonitor(""))
		want("read again", "m:init")
		b.mustApply(t, startMonitor("failures_before_alert = 2"))
		want("edit", "m:init")
		id := b.List(Filter{})[0].ID
		if err := b.Stop(id); err != nil {
			t.Fatal(err)
		}
		if err := b.Start(id); err != nil {
			t.Fatal(err)
		}
		want("stop and start", "m:init m:init")
		b.setProbe(results("-"))
		want("failure", "m:init m:init m:fail")
		if err := b.Stop(id); err != nil {
			t.Fatal(err)
		}
		if err := b.Start(id); err != nil {
			t.Fatal(err)
		}
		want("start of a failing monitor", "m:init m:init m:fail")
	})
}

// An error after warnings is notified of, also if the definition was edited in between.
// Faults: U3.
func TestErrorAfterWarningsIsNotifiedOverAnEdit(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(results("!"))
		b.mustApply(t, startMonitor(warningsFail))
		time.Sleep(time.Minute)
		b.mustApply(t, startMonitor("retry_interval = 5\n"+warningsFail))
		time.Sleep(time.Minute)
		b.setProbe(results("-"))
		time.Sleep(time.Minute)
		if got, want := b.notifiedTo("once good"), "m:fail m:repeat"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// An edit before the first result does not swallow the start.
// Faults: U2.
func TestStartIsNotifiedIfTheDefinitionChangesBeforeTheFirstResult(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.mustApply(t, startMonitor(""))
		b.mustApply(t, startMonitor("failures_before_alert = 2"))
		time.Sleep(time.Minute)
		if got := b.notifiedTo("once good"); got != "m:init" {
			t.Errorf("got %q", got)
		}
	})
}

// A service published why its check is bad. The threshold alone says nothing.
// Faults: U3.
func TestNotificationOfAThresholdSaysWhatTheProbeObserved(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(func(context.Context, string) (probe.Result, error) {
			return probe.Result{Value: 1, Detail: `ERROR, published by "shop-1" 3s ago: no connection to the database`}, nil
		})
		b.mustApply(t, startMonitor(""))
		time.Sleep(time.Minute)
		b.mu.Lock()
		defer b.mu.Unlock()
		want := `value 1 is above max 0: ERROR, published by "shop-1" 3s ago: no connection to the database`
		if n := b.notifications[len(b.notifications)-1]; n.Error != want {
			t.Errorf("got %q, want %q", n.Error, want)
		}
	})
}
