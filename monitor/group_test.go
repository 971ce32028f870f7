package monitor

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

// Faults: G36.
func TestStopKeepsTheIncident(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(down)
		b.mustApply(t, monitorTOML("m", "interval = 5"))
		time.Sleep(11 * time.Second)
		if err := b.Stop(1); err != nil {
			t.Fatal(err)
		}
		if info := b.List(Filter{})[0]; info.State != Stopped || info.Running || !info.Failing {
			t.Errorf("stopped: %+v", info)
		}
		time.Sleep(time.Minute)
		if err := b.Start(1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		b.setProbe(up)
		time.Sleep(11 * time.Second)
		if got, want := b.events(), "m:init m:fail m:init m:recover"; got != want {
			t.Errorf("notified %s, want %s", got, want)
		}
	})
}

// Faults: T74.
func TestReloadKeepsUnchangedMonitors(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(down)
		b.apply(t, "a.toml", monitorTOML("same", "interval = 5")+monitorTOML("changes", "interval = 5")+monitorTOML("removed", "interval = 5"))
		time.Sleep(11 * time.Second)
		before := b.List(Filter{})
		b.apply(t, "a.toml", monitorTOML("changes", "interval = 7")+monitorTOML("same", "interval = 5")+monitorTOML("added", "interval = 5"))
		after := b.List(Filter{})
		if len(after) != 3 || after[0].Name != "same" || after[0].Probes != before[0].Probes || !after[0].NextProbe.Equal(before[0].NextProbe) {
			t.Errorf("after: %+v", after)
		}
		if after[1].Name != "changes" || after[1].ID != before[1].ID || after[1].Interval != 7*time.Second || !after[1].Failing {
			t.Errorf("changes: %+v", after[1])
		}
		if after[2].Name != "added" || after[2].ID != 4 {
			t.Errorf("added: %+v", after[2])
		}
		// The monitors of an invalid file keep running.
		if p := b.apply(t, "a.toml", "[[monitor]"); len(p) != 1 {
			t.Errorf("problems %v", p)
		}
		if got := len(b.List(Filter{})); got != 3 {
			t.Errorf("%d monitors after a bad file", got)
		}
		time.Sleep(11 * time.Second)
		b.setProbe(up)
		time.Sleep(20 * time.Second)
		if got := strings.Count(b.events(), "same:"); got != 3 {
			t.Errorf("%d notifications of same: %s", got, b.events())
		}
		if got := strings.Count(b.events(), "changes:fail"); got != 1 {
			t.Errorf("changes failed %d times: %s", got, b.events())
		}
	})
}

func TestExecCap(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		var running testkit.Gauge
		b.setProbe(func(context.Context, string) (probe.Result, error) {
			running.Run(func() { time.Sleep(2 * time.Second) })
			return probe.Result{}, nil
		})
		b.mustApply(t, strings.ReplaceAll(manyMonitors(100, "interval = 60"), "[monitor.probe]\ntype = \"fake\"", "[monitor.probe]\ntype = \"exec\""))
		time.Sleep(30 * time.Second)
		if most := running.Most(); most != 16 {
			t.Errorf("%d commands ran at once, want 16", most)
		}
		for _, i := range b.List(Filter{}) {
			if i.Probes != 1 {
				t.Fatalf("%s ran %d times", i.Name, i.Probes)
			}
		}
	})
}

// TestWorkersAreReusedAndBounded runs more functions at once than idle workers are
// retained, and then one at a time. The bubble reports leaked goroutines.
func TestWorkersAreReusedAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3 * maxIdle
		w := newWorkers()
		var running, ran atomic.Int64
		work := func() {
			running.Add(1)
			time.Sleep(time.Second)
			running.Add(-1)
			ran.Add(1)
		}
		for range n {
			w.run(work)
		}
		synctest.Wait()
		if got := running.Load(); got != n {
			t.Errorf("%d running, want %d", got, n)
		}
		time.Sleep(2 * time.Second)
		for range 10 {
			w.run(work)
			synctest.Wait()
			if got := len(w.idle); got != maxIdle-1 {
				t.Errorf("%d idle while one runs, want %d", got, maxIdle-1)
			}
			time.Sleep(2 * time.Second)
			if got := len(w.idle); got != maxIdle {
				t.Errorf("%d idle, want %d", got, maxIdle)
			}
		}
		w.run(work)
		w.end()
		if got := ran.Load(); got != n+11 {
			t.Errorf("%d have run, want %d", got, n+11)
		}
	})
}

func TestCounters(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.apply(t, "a.toml", monitorTOML("a", "interval = 1")+monitorTOML("b", "interval = 1"))
		b.setProbe(taking(1500*time.Millisecond, errDown))
		time.Sleep(20*time.Second + 300*time.Millisecond)
		if err := b.Stop(2); err != nil {
			t.Fatal(err)
		}
		c := b.Counters()
		if c.Monitors != 2 || c.Running != 1 || c.Probes < 16 || c.Failures != c.Probes || c.Missed < 12 {
			t.Errorf("%+v", c)
		}
		b.apply(t, "a.toml", "")
		time.Sleep(5 * time.Second)
		if after := b.Counters(); after.Probes < c.Probes || after.Monitors != 0 || after.Probing != 0 {
			t.Errorf("afterwards %+v", after)
		}
	})
}

func TestLatenessOfTheLastMinute(t *testing.T) {
	l := lateness{since: time.Unix(0, 0)}
	at := l.since
	for i := range 1000 {
		l.add(at, time.Duration(i)*time.Millisecond)
	}
	p99, most := l.lastMinute(at)
	if p99 < 990*time.Millisecond || p99 > most || most != 999*time.Millisecond {
		t.Errorf("p99 %v, max %v", p99, most)
	}
	at = at.Add(45 * time.Second)
	l.add(at, time.Hour)
	if _, most := l.lastMinute(at); most != time.Hour {
		t.Errorf("max %v", most)
	}
	at = at.Add(25 * time.Second)
	if p99, most := l.lastMinute(at); p99 < 50*time.Second || most != time.Hour {
		t.Errorf("of one: %v, %v", p99, most)
	}
	if p99, most := l.lastMinute(at.Add(time.Minute)); p99 != 0 || most != 0 {
		t.Errorf("of none: %v, %v", p99, most)
	}
}

// TestFailuresAndRecoveriesAreLogged expects one line for each, and a limit when
// many monitors fail.
func TestFailuresAndRecoveriesAreLogged(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		var buf bytes.Buffer
		b.log = testkit.InfoTo(&buf)
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
		b.log = testkit.InfoTo(&buf)
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
