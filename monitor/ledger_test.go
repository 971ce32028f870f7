package monitor

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

// TestProbesNeverWaitForTheDisk has a disk that takes 2 s for each fsync, and
// then one that hangs: probes are in time, and notices at most a second late.
// Faults: T24.
func TestProbesNeverWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewMemDisk()
		var files strings.Builder
		files.WriteString(opsReceiver)
		for i := range 50 {
			files.WriteString(monitorFor(fmt.Sprint("m", i), "ops"))
		}
		l := startInstance(t, d, files.String())
		var latest atomic.Int64 // how long the last notice waited
		l.setDeliver(func(_ context.Context, ns []action.Notification) error {
			if late := int64(time.Since(ns[0].Time)); late > latest.Load() {
				latest.Store(late)
			}
			return nil
		})
		time.Sleep(15 * time.Second)
		for _, slow := range []time.Duration{2 * time.Second, 10 * time.Minute} {
			d.Set(nil, slow)
			l.mu.Lock()
			l.notifications = nil
			for name := range l.starts {
				l.starts[name] = nil
			}
			l.mu.Unlock()
			began := time.Now()
			l.setProbe(func(context.Context, string) (probe.Result, error) {
				if time.Since(began)/(20*time.Second)%2 == 0 {
					return probe.Result{}, errDown
				}
				return probe.Result{}, nil
			})
			time.Sleep(2 * time.Minute)
			l.mu.Lock()
			for name, at := range l.starts {
				for i := 1; i < len(at); i++ {
					if gap := at[i].Sub(at[i-1]); gap != 10*time.Second {
						t.Errorf("%s: %v between probes", name, gap)
					}
				}
			}
			if late := time.Duration(latest.Load()); late > delivery.LedgerTimeout+10*time.Millisecond {
				t.Errorf("fsync takes %v: a notice was told %v late", slow, late)
			}
			// Three failures and three recoveries each, but for what is under way.
			if n := len(l.notifications); n < 5*50 {
				t.Errorf("fsync takes %v: %d notices are told in two minutes", slow, n)
			}
			l.mu.Unlock()
			if l.ledger.Health().OK {
				t.Error("the ledger says that all is well")
			}
		}
		d.Set(nil, 0)
		time.Sleep(11 * time.Minute)
		if !l.ledger.Health().OK {
			t.Error("the disk is quick again, and the ledger says it is not")
		}
		l.stop()
	})
}

// TestTwoThousandFailuresTakeFewWrites lets 2,000 monitors fail in one second.
// What is written grows with their number, not with its square.
// Faults: T47.
func TestTwoThousandFailuresTakeFewWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewMemDisk()
		d.Set(nil, 10*time.Millisecond)
		const n = 2000
		var files strings.Builder
		files.WriteString(opsReceiver)
		for i := range n {
			files.WriteString(strings.Replace(monitorFor(fmt.Sprint("m", i), "ops"), "interval = 10", "interval = 1", 1))
		}
		l := startInstance(t, d, files.String())
		l.setDeliver(nil)
		time.Sleep(10 * time.Second)
		before := d.Synced()
		l.setProbe(down)
		time.Sleep(10 * time.Second)
		syncs := d.Synced() - before
		if got := len(l.sent()); got != n {
			t.Errorf("%d failures are told, want %d", got, n)
		}
		t.Logf("%d writes", syncs)
		if syncs > 10*1000/30 {
			t.Errorf("%d writes for %d failures", syncs, n)
		}
		l.stop()
	})
}

// TestKillLosesNoNotification kills the program while 200 failures of one
// second are told: in both lives together each is told, and twice only what
// was under way.
// Faults: T47, T49.
func TestKillLosesNoNotification(t *testing.T) {
	for name, c := range map[string]struct {
		group string
		kill  time.Duration // after the first failure, while the second message is told
	}{
		"one by one": {"", 5 * time.Second},
		"grouped":    {"group = true\n", 10300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := testkit.NewMemDisk()
				d.Set(nil, 50*time.Millisecond)
				const n = 200
				var files strings.Builder
				files.WriteString(opsReceiver + c.group)
				for i := range n {
					files.WriteString(strings.Replace(monitorFor(fmt.Sprint("m", i), "ops"), "interval = 10", "interval = 1", 1))
				}
				slowly := func(context.Context, []action.Notification) error { time.Sleep(500 * time.Millisecond); return nil }
				l := startInstance(t, d, files.String())
				l.setDeliver(slowly)
				time.Sleep(15 * time.Second)
				l.setProbe(down)
				time.Sleep(c.kill)
				copies := map[string]int{}
				for _, n := range l.sent() {
					copies[n.Key()]++
				}
				first := len(copies)
				d = l.kill()
				l = startInstance(t, d, files.String())
				l.setProbe(down) // before time passes, or some recover
				d.Set(nil, 50*time.Millisecond)
				l.setDeliver(slowly)
				time.Sleep(30 * time.Second)
				twice := 0
				for _, n := range l.sent() {
					if copies[n.Key()]++; copies[n.Key()] > 1 {
						twice++
					}
				}
				// Ten are under way at a time, and ten more may be told while one
				// write is under way; a group is one.
				if len(copies) != n || first == n || c.group == "" && twice > 20 {
					t.Errorf("%d failures are told before the kill, %d in all, %d twice, want %d in all", first, len(copies), twice, n)
				}
				l.stop()
			})
		})
	}
}

// TestLedgerStateIsConsistent has a monitor fail while what is kept is collected: its
// incident and its notice are both in it, or neither.
// Faults: G36.
func TestLedgerStateIsConsistent(t *testing.T) {
	g := builtinGroup()
	d := g.cfg.Delivery.(testDelivery).Deliverer
	set, problems := Parse("a.toml", fmt.Sprint(
		"[[receiver]]\nname = \"ops\"\ntype = \"exec\"\ncommand = \"/bin/true\"\n",
		strings.ReplaceAll(monitorFor("a", "ops")+monitorFor("z", "ops"), "type = \"fake\"\nname", "type = \"tcp\"\naddress = \"127.0.0.1:1\" #"),
	))
	if problems = append(problems, g.Apply(set, problems)...); len(problems) > 0 {
		t.Fatal(problems[0])
	}
	first, last := g.lookup("a"), g.lookup("z")
	first.mu.Lock()
	p := first.pipeline
	first.mu.Unlock()
	last.mu.Lock() // stops the collection behind the first monitor
	collected := make(chan delivery.Snapshot, 1)
	go func() { collected <- ledgerState(g, d) }()
	for g.verdictMu.TryRLock() { // until it has begun
		g.verdictMu.RUnlock()
		runtime.Gosched()
	}
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		first.complete(p, &measurement{err: errDown, at: time.Now()})
	}()
	select {
	case <-failed:
	case <-time.After(20 * time.Millisecond): // as it should: it waits
	}
	last.mu.Unlock()
	k := <-collected
	<-failed
	told := 0
	for _, b := range k.Pending {
		told += len(b.Notifications)
	}
	if len(k.Incidents) != told {
		t.Errorf("%d incidents and %d notices are kept", len(k.Incidents), told)
	}
	if k := ledgerState(g, d); len(k.Incidents) != 1 || len(k.Pending) != 1 {
		t.Errorf("afterwards %+v is kept", k)
	}
}

// TestLedgerStateHasAnIncidentBeingResumed has a monitor come back while what
// is kept is collected: the incident that waited for it is in it all the same, and
// that it waits no more is written down.
// Faults: G36.
func TestLedgerStateHasAnIncidentBeingResumed(t *testing.T) {
	l, _ := delivery.OpenLedgerOn(testkit.NewMemDisk(), "/state", discardLog)
	d := delivery.NewDeliverer(delivery.Options{Persister: l})
	cfg := builtinGroup().cfg
	cfg.Log, cfg.Delivery = discardLog, testDelivery{d, action.Builtin()}
	g := NewGroup(cfg)
	set, problems := Parse("a.toml", strings.ReplaceAll(monitorFor("a")+monitorFor("z"), "type = \"fake\"\nname", "type = \"tcp\"\naddress = \"127.0.0.1:1\" #"))
	if len(problems) > 0 {
		t.Fatal(problems[0])
	}
	late := set.Monitors[0]
	set.Monitors = set.Monitors[1:]
	if problems = g.Apply(set, nil); len(problems) > 0 {
		t.Fatal(problems[0])
	}
	g.Resume([]Incident{{Monitor: "a", ID: "1", Since: time.Now()}})
	other := g.lookup("z")
	other.mu.Lock() // stops the collection between monitors and what waits
	collected := make(chan delivery.Snapshot, 1)
	go func() { collected <- ledgerState(g, d) }()
	for g.verdictMu.TryRLock() { // until it has begun
		g.verdictMu.RUnlock()
		runtime.Gosched()
	}
	for range 1000 {
		runtime.Gosched()
	}
	before := l.Changed()
	g.add(g.newRunner(late, 7))
	if l.Changed() == before+1 {
		t.Error("that the incident waits no more counts as no change")
	}
	other.mu.Unlock()
	if k := <-collected; len(k.Incidents) != 1 {
		t.Errorf("%d incidents are kept, want 1", len(k.Incidents))
	}
	if k := ledgerState(g, d); len(k.Incidents) != 1 || !k.Incidents[0].Absent.IsZero() {
		t.Errorf("afterwards %+v is kept", k.Incidents)
	}
}
