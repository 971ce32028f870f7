package monitor

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/probe"
)

// TestFailuresAndRecoveriesAreLogged expects one line for each, and a limit when
// many monitors fail.
func TestFailuresAndRecoveriesAreLogged(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		var buf bytes.Buffer
		b.log = slog.New(slog.NewTextHandler(&buf, nil))
		logged := func() string {
			synctest.Wait() // no writes meanwhile
			return buf.String()
		}
		b.setProbe(down)
		b.apply(t, "a.toml", monitorTOML("m", "interval = 2\nrepeat = 2"))
		time.Sleep(9 * time.Second)
		b.setProbe(up)
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
		b.setProbe(down)
		b.apply(t, "b.toml", manyMonitors(2000, "interval = 60"))
		time.Sleep(50 * time.Second)
		if n := strings.Count(logged(), "monitor is failing"); n > maxChangeLines {
			t.Errorf("%d lines in a minute", n)
		}
		b.setProbe(up)
		time.Sleep(time.Minute)
		if got := logged(); !strings.Contains(got, "not_logged_before=19") {
			t.Errorf("the number of suppressed lines is not logged:\n%.3000s", got)
		}
	})
}

// TestRemovedFailingMonitorIsLogged expects a log line and no notification.
func TestRemovedFailingMonitorIsLogged(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		var buf bytes.Buffer
		b.log = slog.New(slog.NewTextHandler(&buf, nil))
		b.setProbe(func(_ context.Context, name string) (probe.Result, error) {
			if name == "bad" {
				return probe.Result{}, errDown
			}
			return probe.Result{}, nil
		})
		b.apply(t, "a.toml", monitorTOML("bad", "interval = 2")+monitorTOML("good", "interval = 2"))
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
		for _, n := range b.notifications {
			if n.Event == "recover" {
				t.Errorf("notified %+v", n)
			}
		}
	})
}
