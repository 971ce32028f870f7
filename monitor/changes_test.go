package monitor

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/probe"
)

// Whoever is woken is told what is wrong with a value, and so is who looks at the
// monitor or its health check.
func TestValueBeyondAThresholdIsToldWithTheThreshold(t *testing.T) {
	for _, c := range []struct {
		keys  string
		value float64
		want  string
		told  bool
	}{
		{"max = 90", 97.25, "value 97.25 is above max 90", true},
		{"min = -5\nmax = 1000000", 1234567, "value 1234567 is above max 1000000", true},
		{"min = 5\nmax = 6", -2, "value -2 is below min 5", true},
		{"max = 90\nwarn_max = 80.5", 85, "value 85 is above warn_max 80.5", false},
		{"max = 90\nwarn_min = 3", 2, "value 2 is below warn_min 3", false},
		{"max = 90", 90, "", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			b, stop := newBench(t)
			defer stop()
			b.answer(func(context.Context, string) (probe.Result, error) { return probe.Result{Value: c.value}, nil })
			if p := b.apply(t, "a.toml", text("m", "interval = 2\nrepeat = 2\n"+c.keys)); len(p) > 0 {
				t.Fatal(p[0])
			}
			if got := b.List(Filter{})[0].Error; got != "" {
				t.Errorf("%s, before the first probe: %q", c.keys, got)
			}
			time.Sleep(5 * time.Second)
			if got := b.List(Filter{})[0].Error; got != c.want {
				t.Errorf("%s: listed with %q, want %q", c.keys, got, c.want)
			}
			b.answer(func(context.Context, string) (probe.Result, error) { return probe.Result{Value: 5}, nil })
			time.Sleep(3 * time.Second)
			b.mu.Lock()
			defer b.mu.Unlock()
			if got := b.results[0]; got.Violation != c.want || got.Err != nil {
				t.Errorf("%s: recorded with %q, want %q", c.keys, got.Violation, c.want)
			}
			var got []string
			for _, n := range b.notices {
				got = append(got, string(n.Event)+": "+n.Error)
			}
			want := "init: "
			if c.told {
				want = fmt.Sprintf("init: , fail: %s, repeat: %[1]s, recover: ", c.want)
			}
			if got := strings.Join(got, ", "); got != want {
				t.Errorf("%s:\ntold %s\nwant %s", c.keys, got, want)
			}
		})
	}
}

// Failures and recoveries are in the log, once each, and not too many.
func TestFailuresAndRecoveriesAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		var buf bytes.Buffer
		b.log = slog.New(slog.NewTextHandler(&buf, nil))
		logged := func() string {
			synctest.Wait() // so that nobody writes meanwhile
			return buf.String()
		}
		b.answer(down)
		b.apply(t, "a.toml", text("m", "interval = 2\nrepeat = 2"))
		time.Sleep(9 * time.Second)
		b.answer(func(context.Context, string) (probe.Result, error) { return probe.Result{}, nil })
		time.Sleep(2 * time.Second)
		got := logged()
		if strings.Count(got, "monitor is failing") != 1 || strings.Count(got, "monitor recovered") != 1 {
			t.Errorf("logged\n%s", got)
		}
		for _, want := range []string{"level=WARN", "monitor=m incident=", "err=" + errDown.Error(), "after="} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not logged:\n%s", want, got)
			}
		}
		b.answer(down)
		var all strings.Builder
		for i := range 2000 {
			all.WriteString(text(fmt.Sprint("n", i), "interval = 60"))
		}
		b.apply(t, "b.toml", all.String())
		time.Sleep(50 * time.Second)
		if n := strings.Count(logged(), "monitor is failing"); n > maxChangeLines {
			t.Errorf("%d lines in a minute", n)
		}
		b.answer(func(context.Context, string) (probe.Result, error) { return probe.Result{}, nil })
		time.Sleep(time.Minute)
		if got := logged(); !strings.Contains(got, "not_logged_before=19") {
			t.Errorf("it is not told how many were not logged:\n%.3000s", got)
		}
	})
}

// Of a monitor that goes while it fails nobody is told, but the log says so.
func TestFailingMonitorThatGoesIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		var buf bytes.Buffer
		b.log = slog.New(slog.NewTextHandler(&buf, nil))
		b.answer(func(_ context.Context, name string) (probe.Result, error) {
			if name == "bad" {
				return probe.Result{}, errDown
			}
			return probe.Result{}, nil
		})
		b.apply(t, "a.toml", text("bad", "interval = 2")+text("good", "interval = 2"))
		time.Sleep(5 * time.Second)
		b.apply(t, "a.toml", "")
		time.Sleep(time.Minute)
		synctest.Wait()
		const words = "a failing monitor was removed"
		if got := buf.String(); strings.Count(got, words) != 1 || !strings.Contains(got, "monitor=bad") || strings.Contains(got, "monitor=good") {
			t.Errorf("logged\n%s", got)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, n := range b.notices {
			if n.Event == "recover" {
				t.Errorf("told %+v", n)
			}
		}
	})
}

// A clock that was set back while the program was stopped makes no failure
// end before it began.
// Faults: T16.
func TestDurationsAreNeverNegative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.answer(down)
		b.apply(t, "a.toml", text("m", "interval = 2"))
		time.Sleep(3 * time.Second)
		r := b.lookup("m")
		r.mu.Lock()
		r.failedAt = time.Now().Add(time.Hour).Round(0)
		r.mu.Unlock()
		b.answer(func(context.Context, string) (probe.Result, error) { return probe.Result{}, nil })
		time.Sleep(3 * time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := b.notices[len(b.notices)-1]; n.Event != "recover" || n.Duration != 0 {
			t.Errorf("told %s after %v", n.Event, n.Duration)
		}
	})
}
