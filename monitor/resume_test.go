package monitor

import (
	"context"
	"fmt"
	"runtime"
	"slices"
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

// TestUnchangedIncidentsSendNothingAfterAKill kills an instance with open incidents
// several times. The next notification is the recovery, with the original id and the
// whole duration.
// Faults: G36, T14.
func TestUnchangedIncidentsSendNothingAfterAKill(t *testing.T) {
	files := opsReceiver + monitorFor("a", "ops") + monitorFor("b", "ops") + monitorFor("silent")
	synctest.Test(t, func(t *testing.T) {
		l := startInstance(t, testkit.NewMemDisk(), files)
		l.setProbe(down)
		time.Sleep(time.Minute)
		first := l.sent()
		if got, want := l.sentEvents(), "a:fail b:fail"; got != want {
			t.Fatalf("notified %s, want %s", got, want)
		}
		for range 5 {
			d := l.kill()
			time.Sleep(time.Hour)
			l = startInstance(t, d, files)
			l.setProbe(down)
			time.Sleep(5 * time.Minute)
			if got := l.sentEvents(); got != "" {
				t.Errorf("after a kill notified %s, want nothing", got)
			}
		}
		if n := len(l.ledgerState().Incidents); n != 3 {
			t.Errorf("%d open incidents, want 3, one without actions", n)
		}
		d := l.kill()
		l = startInstance(t, d, files) // the targets have recovered
		time.Sleep(5 * time.Minute)
		if got, want := l.sentEvents(), "a:recover b:recover"; got != want {
			t.Fatalf("notified %s, want %s", got, want)
		}
		for _, n := range l.sent() {
			i := slices.IndexFunc(first, func(f action.Notification) bool { return f.Monitor == n.Monitor })
			truth := n.Time.Sub(first[i].Time)
			if n.Incident != first[i].Incident || n.Duration-truth > time.Second || truth-n.Duration > time.Second || n.Duration < 5*time.Hour {
				t.Errorf("recovery %+v of %+v", n, first[i])
			}
		}
		d = l.kill()
		l = startInstance(t, d, files)
		time.Sleep(5 * time.Minute)
		if got := l.sentEvents(); got != "" || len(l.ledgerState().Incidents) != 0 {
			t.Errorf("afterwards notified %s", got)
		}
		l.stop()
	})
}

// TestPendingNotificationsAreSentAfterAKill kills an instance whose receiver is
// unavailable.
// Faults: G36.
func TestPendingNotificationsAreSentAfterAKill(t *testing.T) {
	for name, heals := range map[string]bool{"still failing": false, "over by then": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				files := opsReceiver + monitorFor("a", "ops")
				l := startInstance(t, testkit.NewMemDisk(), files)
				l.setDeliver(unavailable)
				l.setProbe(down)
				time.Sleep(time.Minute)
				d := l.kill()
				l = startInstance(t, d, files)
				if !heals {
					l.setProbe(down)
				}
				time.Sleep(time.Minute)
				want := "a:fail a:recover"
				if !heals {
					want = "a:fail"
				}
				ns := l.sent()
				if got := l.sentEvents(); got != want || ns[0].Event != action.Fail || ns[len(ns)-1].Incident != ns[0].Incident {
					t.Errorf("notified %+v, want %s", ns, want)
				}
				l.stop()
			})
		})
	}
}

// TestIncidentsResumeWithChangedFiles restarts with changed files.
// Faults: G36.
func TestIncidentsResumeWithChangedFiles(t *testing.T) {
	other := "[[receiver]]\nname = \"other\"\ntype = \"fake\"\nto = \"other\"\n"
	for name, c := range map[string]struct {
		files string // of the second instance
		later string // if not empty, of the second instance after an hour
		heals bool
		want  string // notified by the second instance, as receiver=monitor:event
	}{
		"unchanged":                               {opsReceiver + monitorFor("a", "ops"), "", true, "ops=a:recover"},
		"another probe":                           {opsReceiver + strings.Replace(monitorFor("a", "ops"), "interval = 10", "interval = 20", 1), "", true, "ops=a:recover"},
		"one more receiver":                       {opsReceiver + other + monitorFor("a", "ops", "other"), "", false, "other=a:fail"},
		"another receiver":                        {opsReceiver + other + monitorFor("a", "other"), "", true, "ops=a:recover"},
		"another receiver, still fails":           {opsReceiver + other + monitorFor("a", "other"), "", false, "other=a:fail"},
		"gone":                                    {opsReceiver + monitorFor("b", "ops"), "", true, ""},
		"gone for an hour":                        {opsReceiver, opsReceiver + monitorFor("a", "ops"), true, "ops=a:recover"},
		"gone for an hour, still fails":           {opsReceiver, opsReceiver + monitorFor("a", "ops"), false, ""},
		"gone for an hour, then another receiver": {opsReceiver + other, opsReceiver + other + monitorFor("a", "other"), true, "ops=a:recover"},
		"gone for an hour, then another receiver, still fails": {opsReceiver + other, opsReceiver + other + monitorFor("a", "other"), false, "other=a:fail"},
		"gone for an hour, then one more receiver":             {opsReceiver + other, opsReceiver + other + monitorFor("a", "ops", "other"), true, "ops=a:recover"},
		"all files broken for an hour":                         {"", opsReceiver + monitorFor("a", "ops"), true, "ops=a:recover"},
		"receiver gone, monitor remains":                       {monitorFor("a"), "", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := startInstance(t, testkit.NewMemDisk(), opsReceiver+monitorFor("a", "ops"))
				l.setProbe(down)
				time.Sleep(time.Minute)
				d := l.kill()
				l = startInstance(t, d, c.files)
				if !c.heals {
					l.setProbe(down)
				}
				time.Sleep(time.Hour)
				if c.later != "" {
					if len(l.sent()) > 0 {
						t.Errorf("notified %+v while the monitor was absent", l.sent())
					}
					d = l.kill() // the incident outlives one more kill
					l = startInstance(t, d, c.files)
					if !c.heals {
						l.setProbe(down)
					}
					l.mustApply(t, c.later)
					time.Sleep(time.Hour)
				}
				l.mu.Lock()
				var got []string
				for to, words := range l.notified {
					for _, word := range strings.Fields(words) {
						if !strings.HasSuffix(word, ":init") {
							got = append(got, to+"="+word)
						}
					}
				}
				l.mu.Unlock()
				if got := strings.Join(got, " "); got != c.want {
					t.Errorf("notified %q, want %q", got, c.want)
				}
				l.stop()
			})
		})
	}
}

// TestAbsentMonitorsAreForgottenAfterADay restarts without a monitor and its
// receiver.
// Faults: G36.
func TestAbsentMonitorsAreForgottenAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startInstance(t, testkit.NewMemDisk(), opsReceiver+monitorFor("a", "ops"))
		l.setProbe(down)
		time.Sleep(time.Minute)
		d := l.kill()
		l = startInstance(t, d, monitorFor("b"))
		time.Sleep(20 * time.Hour)
		d = l.kill() // the absence does not start again
		l = startInstance(t, d, monitorFor("b"))
		time.Sleep(3 * time.Hour)
		if k := l.ledgerState(); len(k.Incidents) != 1 || len(k.Pending) != 1 {
			t.Errorf("after 23 hours %+v, want all", k)
		}
		time.Sleep(2 * time.Hour)
		if k := l.ledgerState(); len(k.Incidents) != 0 || len(k.Pending) != 0 {
			t.Errorf("after 25 hours %+v", k)
		}
		l.stop()
	})
}

// TestProbesNeverWaitForTheDisk uses a disk that takes 2 s for each fsync, and one
// that hangs. Probes are on time, and notifications at most a second late.
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
		var latest atomic.Int64 // delay of the latest notification
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
				t.Errorf("fsync takes %v: a notification was %v late", slow, late)
			}
			// Three failures and three recoveries each, except those in progress.
			if n := len(l.notifications); n < 5*50 {
				t.Errorf("fsync takes %v: %d notifications in two minutes", slow, n)
			}
			l.mu.Unlock()
			if l.ledger.Health().OK {
				t.Error("the ledger state is OK")
			}
		}
		d.Set(nil, 0)
		time.Sleep(11 * time.Minute)
		if !l.ledger.Health().OK {
			t.Error("the disk is fast again, and the ledger state is not OK")
		}
		l.stop()
	})
}

// TestTwoThousandFailuresTakeFewWrites lets 2,000 monitors fail within one second.
// The size of all writes grows linearly with their number.
// Faults: T47.
func TestTwoThousandFailuresTakeFewWrites(t *testing.T) {
	testkit.SkipIfShort(t)
	const n = 2000
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewMemDisk()
		d.Set(nil, 10*time.Millisecond)
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
			t.Errorf("%d failures were notified, want %d", got, n)
		}
		t.Logf("%d writes", syncs)
		if syncs > 10*1000/30 {
			t.Errorf("%d writes for %d failures", syncs, n)
		}
		l.stop()
	})
}

// TestKillLosesNoNotification kills an instance while it sends the notifications of
// 200 failures. The next instance sends the others, and repeats only those that were
// in progress.
// Faults: T47, T49.
func TestKillLosesNoNotification(t *testing.T) {
	for name, c := range map[string]struct {
		group string
		kill  time.Duration // after the first failure, while the second message is sent
	}{
		"one by one": {"", 5 * time.Second},
		"grouped":    {"group = true\n", 10300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "grouped" {
				testkit.SkipIfShort(t)
			}
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
				l.setProbe(down) // before any probe runs
				d.Set(nil, 50*time.Millisecond)
				l.setDeliver(slowly)
				time.Sleep(30 * time.Second)
				twice := 0
				for _, n := range l.sent() {
					if copies[n.Key()]++; copies[n.Key()] > 1 {
						twice++
					}
				}
				// Ten attempts run at a time, and ten more may be sent while one
				// write runs; a group is one attempt.
				if len(copies) != n || first == n || c.group == "" && twice > 20 {
					t.Errorf("%d failures were notified before the kill, %d in all, %d twice, want %d in all", first, len(copies), twice, n)
				}
				l.stop()
			})
		})
	}
}

// startCollecting runs ledgerState in the background. It returns once that holds
// verdictMu.
func startCollecting(g *Group, d *delivery.Deliverer) <-chan delivery.Snapshot {
	collected := make(chan delivery.Snapshot, 1)
	go func() { collected <- ledgerState(g, d) }()
	for g.verdictMu.TryRLock() {
		g.verdictMu.RUnlock()
		runtime.Gosched()
	}
	return collected
}

// TestLedgerStateIsConsistent lets a monitor fail while the state is collected. The
// state has both its incident and its notification, or neither.
// Faults: G36.
func TestLedgerStateIsConsistent(t *testing.T) {
	g := builtinGroup()
	d := g.cfg.Delivery.(testDelivery).Deliverer
	set, problems := Parse("a.toml", fmt.Sprint(
		"[[receiver]]\nname = \"ops\"\ntype = \"exec\"\ncommand = \"/bin/true\"\n",
		strings.ReplaceAll(monitorFor("a", "ops")+monitorFor("z", "ops"), "type = \"fake\"\nname", "type = \"tcp\"\naddress = \"127.0.0.1:1\" #"),
	))
	if problems = append(problems, g.Apply(t.Context(), set, problems)...); len(problems) > 0 {
		t.Fatal(problems[0])
	}
	first, last := g.lookup("a"), g.lookup("z")
	first.mu.Lock()
	p := first.pipeline
	first.mu.Unlock()
	last.mu.Lock() // blocks the collection after the first monitor
	collected := startCollecting(g, d)
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		first.complete(p, &measurement{err: errDown, at: time.Now()})
	}()
	select {
	case <-failed:
	case <-time.After(20 * time.Millisecond): // as expected, it waits
	}
	last.mu.Unlock()
	k := <-collected
	<-failed
	pending := 0
	for _, b := range k.Pending {
		pending += len(b.Notifications)
	}
	if len(k.Incidents) != pending {
		t.Errorf("%d incidents and %d pending notifications", len(k.Incidents), pending)
	}
	if k := ledgerState(g, d); len(k.Incidents) != 1 || len(k.Pending) != 1 {
		t.Errorf("afterwards %+v", k)
	}
}

// TestLedgerStateHasAnIncidentBeingResumed adds an absent monitor while the state is
// collected. The state has its incident, and the end of the absence is a change.
// Faults: G36.
func TestLedgerStateHasAnIncidentBeingResumed(t *testing.T) {
	l, _ := delivery.OpenLedger(openRecords(t, testkit.NewMemDisk(), "/state"), discardLog)
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
	if problems = g.Apply(t.Context(), set, nil); len(problems) > 0 {
		t.Fatal(problems[0])
	}
	g.Resume([]Incident{{Monitor: "a", ID: "1", Since: time.Now()}})
	other := g.lookup("z")
	other.mu.Lock() // blocks the collection after the absent monitors
	collected := startCollecting(g, d)
	for range 1000 {
		runtime.Gosched()
	}
	before := l.Changed()
	g.add(g.newRunner(late, 7))
	if l.Changed() == before+1 {
		t.Error("the end of the absence is not a change")
	}
	other.mu.Unlock()
	if k := <-collected; len(k.Incidents) != 1 {
		t.Errorf("%d incidents, want 1", len(k.Incidents))
	}
	if k := ledgerState(g, d); len(k.Incidents) != 1 || !k.Incidents[0].Absent.IsZero() {
		t.Errorf("afterwards %+v", k.Incidents)
	}
}
