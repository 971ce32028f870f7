package monitor

import (
	"bytes"
	"context"
	"fmt"
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
	var l lateness
	l.init(time.Unix(0, 0))
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
		if got := logged(); !strings.Contains(got, "suppressed=19") {
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

// TestEqualActionsShareAReceiver lets 2,000 monitors with the same inline action
// fail within a second. All failures are in few messages.
// Faults: T47.
func TestEqualActionsShareAReceiver(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		var all strings.Builder
		n := testkit.Fewer(2000, 500)
		for i := range n {
			all.WriteString(monitorWithActions(fmt.Sprintf("m%d", i), inlineAction("ops")+"group = true\n"))
		}

		b.mustApply(t, all.String())
		if names := b.receiverNames(); len(names) != 1 || !isInlineName(names[0]) || !strings.HasPrefix(names[0], "fake#") {
			t.Fatalf("receivers %q", names)
		}
		time.Sleep(40 * time.Second)
		b.setProbe(down)
		b.mu.Lock()
		b.messages, b.notifications = 0, nil
		b.mu.Unlock()
		time.Sleep(30 * time.Second)
		b.mu.Lock()
		if b.messages > 4 || len(b.notifications) != n {
			t.Errorf("%d failures notified in %d messages within 30 s", len(b.notifications), b.messages)
		}
		b.mu.Unlock()
		b.mustApply(t, monitorWithActions("m0", ""))
		b.wantReceivers(t, 1)
		b.apply(t, "a.toml", "")
		b.wantReceivers(t, 0)
	})
}

func TestActionsThatDifferShareNoReceiver(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		doc := monitorWithActions("a", inlineAction("x")+inlineAction("x")+inlineAction("y")) + monitorWithActions("b", inlineAction("y"))
		b.mustApply(t, doc)
		b.wantReceivers(t, 2)
		b.setProbe(down)
		time.Sleep(15 * time.Second)
		if x, y := b.notifiedTo("x"), b.notifiedTo("y"); x != "a:init a:fail" || !strings.Contains(y, "a:fail") || !strings.Contains(y, "b:fail") {
			t.Errorf("x was notified %q, y %q", x, y)
		}
		b.apply(t, "a.toml", monitorWithActions("b", inlineAction("y")))
		b.wantReceivers(t, 1)
	})
}

// TestChangedActionIsNotifiedOfTheOpenIncident changes the action of a failing
// monitor. The new receiver is notified of the failure, both of the recovery.
func TestChangedActionIsNotifiedOfTheOpenIncident(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(down)
		b.apply(t, "a.toml", monitorWithActions("m", inlineAction("old")))
		time.Sleep(15 * time.Second)
		b.apply(t, "a.toml", monitorWithActions("m", inlineAction("new")))
		time.Sleep(15 * time.Second)
		b.apply(t, "a.toml", monitorWithActions("m", inlineAction("newest")))
		time.Sleep(15 * time.Second)
		b.setProbe(up)
		time.Sleep(15 * time.Second)
		for _, who := range []string{"old", "new", "newest"} {
			if got, want := b.notifiedTo(who), "m:init m:fail m:recover"; got != want {
				t.Errorf("%s was notified %q, want %q", who, got, want)
			}
		}
		b.mu.Lock()
		for _, n := range b.notifications {
			if n.Event == "fail" && n.Incident != b.notifications[len(b.notifications)-1].Incident {
				t.Errorf("another incident: %+v", n)
			}
		}
		b.mu.Unlock()
		// The next change removes the former receivers.
		b.apply(t, "a.toml", monitorWithActions("m", inlineAction("newest")))
		b.wantReceivers(t, 1)
	})
}

func TestPendingNotificationOutlivesItsMonitor(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setDeliver(unavailable)
		b.setProbe(down)
		b.apply(t, "a.toml", monitorWithActions("m", inlineAction("x")))
		time.Sleep(15 * time.Second)
		b.apply(t, "a.toml", "")
		b.setDeliver(nil)
		time.Sleep(time.Minute)
		if got := b.notifiedTo("x"); !strings.Contains(got, "m:fail") {
			t.Errorf("notified %q", got)
		}
		b.apply(t, "a.toml", "")
		b.wantReceivers(t, 0)
	})
}

// TestAReceiverThatIsUsedStays removes a [[receiver]] that a monitor names.
func TestAReceiverThatIsUsedStays(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		named := monitorWithActions("m", "[[monitor.actions]]\nreceiver = \"ops\"\n")
		b.mustApply(t, opsReceiver+named)
		time.Sleep(15 * time.Second)
		p := b.apply(t, "a.toml", named)
		want := `a.toml:7: monitor "m": receiver "ops" is not defined in any file; the monitor keeps using the previous one`
		if len(p) != 1 || p[0].Error() != want {
			t.Errorf("got  %v\nwant %s", p, want)
		}
		p = b.apply(t, "a.toml", named+"# a new monitor\n"+strings.ReplaceAll(named, `"m"`, `"n"`))
		if len(p) != 2 || !strings.HasSuffix(p[1].Error(), `monitor "n": receiver "ops" is not defined in any file: add a [[receiver]] with that name`) {
			t.Errorf("problems %v", p)
		}
		b.setProbe(down)
		time.Sleep(15 * time.Second)
		if got, want := b.notifiedTo("ops"), "m:init m:fail"; got != want {
			t.Errorf("notified %q, want %q", got, want)
		}
		if p := b.apply(t, "a.toml", opsReceiver+named); len(p) > 0 || len(b.receiverNames()) != 1 {
			t.Errorf("back again: %v, %q", p, b.receiverNames())
		}
		b.apply(t, "a.toml", "")
		b.wantReceivers(t, 0)
	})
}
