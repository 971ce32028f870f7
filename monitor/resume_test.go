package monitor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

// life is one life of the program over a state directory.
type life struct {
	*bench
	disk   *testkit.MemDisk
	ledger *delivery.Ledger
	end    func()
}

// begin starts the program on a disk with the files of monitors.
func begin(t *testing.T, d *testkit.MemDisk, files string) *life {
	t.Helper()
	j, err := openJournalOn(d, "/state")
	if err != nil {
		t.Fatal(err)
	}
	l, kept := delivery.OpenLedgerOn(d, "/state", quiet)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	b, stop := newBenchOf(t, j, delivery.Options{Persister: l})
	if p := b.apply(t, "a.toml", files); len(p) > 0 {
		t.Fatal(p[0])
	}
	resume(b.Group, b.Deliverer, kept)
	wg.Go(func() { _ = l.Run(ctx, b.Kept) })
	b.mu.Lock()
	b.deliver = func(_ context.Context, ns []action.Notification) error { return isWritten(d, ns) }
	b.mu.Unlock()
	return &life{b, d, l, sync.OnceFunc(func() { stop(); cancel(); wg.Wait() })}
}

// isWritten fails unless what is told is on the disk by now.
func isWritten(d *testkit.MemDisk, ns []action.Notification) error {
	_, k := delivery.OpenLedgerOn(d.Killed(), "/state", quiet)
	for _, n := range ns {
		if n.Event != action.Init && !slices.ContainsFunc(k.Pending, func(b delivery.Pending) bool {
			return slices.ContainsFunc(b.Notifications, func(p action.Notification) bool { return p.Incident == n.Incident })
		}) {
			panic(fmt.Sprintf("%s of %s is told before it is written down", n.Event, n.Monitor))
		}
	}
	return nil
}

// kill ends the life at once and returns the disk as it is left.
func (l *life) kill() *testkit.MemDisk {
	after := l.disk.Killed()
	l.end()
	return after
}

// heard returns what was told but starts.
func (l *life) heard() (ns []action.Notification) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.notices), func(n action.Notification) bool { return n.Event == action.Init })
}

func (l *life) heardEvents() string {
	var all []string
	for _, n := range l.heard() {
		all = append(all, fmt.Sprintf("%s:%s", n.Monitor, n.Event))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// watched is a document of a monitor that names receivers.
func watched(name string, receivers ...string) string {
	text := fmt.Sprintf("[[monitor]]\nname = %q\ninterval = 10\n[monitor.probe]\ntype = \"fake\"\nname = %q\n", name, name)
	for _, r := range receivers {
		text += fmt.Sprintf("[[monitor.actions]]\nreceiver = %q\n", r)
	}
	return text
}

// TestUnchangedIncidentsSendNothingAfterAKill kills the program with open
// incidents, again and again: nobody hears anything until the recovery, which
// carries the old id and the whole duration.
// Faults: G36, T14.
func TestUnchangedIncidentsSendNothingAfterAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := ops + watched("a", "ops") + watched("b", "ops") + watched("silent")
		l := begin(t, testkit.NewMemDisk(), files)
		l.answer(down)
		time.Sleep(time.Minute)
		first := l.heard()
		if got, want := l.heardEvents(), "a:fail b:fail"; got != want {
			t.Fatalf("told %s, want %s", got, want)
		}
		for range 5 {
			d := l.kill()
			time.Sleep(time.Hour)
			l = begin(t, d, files)
			l.answer(down)
			time.Sleep(5 * time.Minute)
			if got := l.heardEvents(); got != "" {
				t.Errorf("after a kill %s is told, want nothing", got)
			}
		}
		if n := len(l.Kept().Incidents); n != 3 {
			t.Errorf("%d incidents are open, want that of a monitor without actions too", n)
		}
		d := l.kill()
		l = begin(t, d, files) // all is well by now
		time.Sleep(5 * time.Minute)
		if got, want := l.heardEvents(), "a:recover b:recover"; got != want {
			t.Fatalf("told %s, want %s", got, want)
		}
		for _, n := range l.heard() {
			i := slices.IndexFunc(first, func(f action.Notification) bool { return f.Monitor == n.Monitor })
			truth := n.Time.Sub(first[i].Time)
			if n.Incident != first[i].Incident || n.Duration-truth > time.Second || truth-n.Duration > time.Second || n.Duration < 5*time.Hour {
				t.Errorf("recovery %+v of %+v", n, first[i])
			}
		}
		d = l.kill()
		l = begin(t, d, files)
		time.Sleep(5 * time.Minute)
		if got := l.heardEvents(); got != "" || len(l.Kept().Incidents) != 0 {
			t.Errorf("afterwards %s is told", got)
		}
		l.end()
	})
}

// TestPendingNoticesAreSentAfterAKill has a receiver that is away.
// Faults: G36.
func TestPendingNoticesAreSentAfterAKill(t *testing.T) {
	for name, heals := range map[string]bool{"still failing": false, "over by then": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				files := ops + watched("a", "ops")
				l := begin(t, testkit.NewMemDisk(), files)
				l.mu.Lock()
				l.deliver = func(context.Context, []action.Notification) error { return errors.New("away") }
				l.mu.Unlock()
				l.answer(down)
				time.Sleep(time.Minute)
				d := l.kill()
				l = begin(t, d, files)
				if !heals {
					l.answer(down)
				}
				time.Sleep(time.Minute)
				want := "a:fail a:recover"
				if !heals {
					want = "a:fail"
				}
				ns := l.heard()
				if got := l.heardEvents(); got != want || ns[0].Event != action.Fail || ns[len(ns)-1].Incident != ns[0].Incident {
					t.Errorf("told %+v, want %s", ns, want)
				}
				l.end()
			})
		})
	}
}

// TestIncidentsResumeWithChangedFiles restarts with files that changed meanwhile.
// Faults: G36.
func TestIncidentsResumeWithChangedFiles(t *testing.T) {
	other := "[[receiver]]\nname = \"other\"\ntype = \"fake\"\nto = \"other\"\n"
	for name, c := range map[string]struct {
		files string // of the second life
		later string // if not empty, of the second life after an hour
		heals bool
		want  string // told in the second life: receiver=monitor:event
	}{
		"unchanged":                               {ops + watched("a", "ops"), "", true, "ops=a:recover"},
		"another probe":                           {ops + strings.Replace(watched("a", "ops"), "interval = 10", "interval = 20", 1), "", true, "ops=a:recover"},
		"one more receiver":                       {ops + other + watched("a", "ops", "other"), "", false, "other=a:fail"},
		"another receiver":                        {ops + other + watched("a", "other"), "", true, "ops=a:recover"},
		"another receiver, still fails":           {ops + other + watched("a", "other"), "", false, "other=a:fail"},
		"gone":                                    {ops + watched("b", "ops"), "", true, ""},
		"gone for an hour":                        {ops, ops + watched("a", "ops"), true, "ops=a:recover"},
		"gone for an hour, still fails":           {ops, ops + watched("a", "ops"), false, ""},
		"gone for an hour, then another receiver": {ops + other, ops + other + watched("a", "other"), true, "ops=a:recover"},
		"gone for an hour, then another receiver, still fails": {ops + other, ops + other + watched("a", "other"), false, "other=a:fail"},
		"gone for an hour, then one more receiver":             {ops + other, ops + other + watched("a", "ops", "other"), true, "ops=a:recover"},
		"all files broken for an hour":                         {"", ops + watched("a", "ops"), true, "ops=a:recover"},
		"receiver gone, monitor remains":                       {watched("a"), "", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := begin(t, testkit.NewMemDisk(), ops+watched("a", "ops"))
				l.answer(down)
				time.Sleep(time.Minute)
				d := l.kill()
				l = begin(t, d, c.files)
				if !c.heals {
					l.answer(down)
				}
				time.Sleep(time.Hour)
				if c.later != "" {
					if len(l.heard()) > 0 {
						t.Errorf("told %+v while the monitor was gone", l.heard())
					}
					d = l.kill() // what waits outlives one more kill
					l = begin(t, d, c.files)
					if !c.heals {
						l.answer(down)
					}
					if p := l.apply(t, "a.toml", c.later); len(p) > 0 {
						t.Fatal(p[0])
					}
					time.Sleep(time.Hour)
				}
				l.mu.Lock()
				var told []string
				for to, words := range l.told {
					for _, word := range strings.Fields(words) {
						if !strings.HasSuffix(word, ":init") {
							told = append(told, to+"="+word)
						}
					}
				}
				l.mu.Unlock()
				if got := strings.Join(told, " "); got != c.want {
					t.Errorf("told %q, want %q", got, c.want)
				}
				l.end()
			})
		})
	}
}

// TestAbsentMonitorsAreForgottenAfterADay leaves a monitor and a receiver away
// for good.
// Faults: G36.
func TestAbsentMonitorsAreForgottenAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := begin(t, testkit.NewMemDisk(), ops+watched("a", "ops"))
		l.answer(down)
		time.Sleep(time.Minute)
		d := l.kill()
		l = begin(t, d, watched("b"))
		time.Sleep(20 * time.Hour)
		d = l.kill() // the day does not begin anew
		l = begin(t, d, watched("b"))
		time.Sleep(3 * time.Hour)
		if k := l.Kept(); len(k.Incidents) != 1 || len(k.Pending) != 1 {
			t.Errorf("after 23 hours %+v is kept, want all", k)
		}
		time.Sleep(2 * time.Hour)
		if k := l.Kept(); len(k.Incidents) != 0 || len(k.Pending) != 0 {
			t.Errorf("after 25 hours %+v is kept", k)
		}
		l.end()
	})
}

// TestProbesNeverWaitForTheDisk has a disk that takes 2 s for each fsync, and
// then one that hangs: probes are in time, and notices at most a second late.
// Faults: T24.
func TestProbesNeverWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewMemDisk()
		var files strings.Builder
		files.WriteString(ops)
		for i := range 50 {
			files.WriteString(watched(fmt.Sprint("m", i), "ops"))
		}
		l := begin(t, d, files.String())
		var latest atomic.Int64 // how long the last notice waited
		l.mu.Lock()
		l.deliver = func(_ context.Context, ns []action.Notification) error {
			if late := int64(time.Since(ns[0].Time)); late > latest.Load() {
				latest.Store(late)
			}
			return nil
		}
		l.mu.Unlock()
		time.Sleep(15 * time.Second)
		for _, slow := range []time.Duration{2 * time.Second, 10 * time.Minute} {
			d.Set(nil, slow)
			l.mu.Lock()
			l.notices = nil
			for name := range l.starts {
				l.starts[name] = nil
			}
			l.mu.Unlock()
			began := time.Now()
			l.answer(func(context.Context, string) (probe.Result, error) {
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
			if n := len(l.notices); n < 5*50 {
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
		l.end()
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
		files.WriteString(ops)
		for i := range n {
			files.WriteString(strings.Replace(watched(fmt.Sprint("m", i), "ops"), "interval = 10", "interval = 1", 1))
		}
		l := begin(t, d, files.String())
		l.mu.Lock()
		l.deliver = nil
		l.mu.Unlock()
		time.Sleep(10 * time.Second)
		before := d.Synced()
		l.answer(down)
		time.Sleep(10 * time.Second)
		syncs := d.Synced() - before
		if got := len(l.heard()); got != n {
			t.Errorf("%d failures are told, want %d", got, n)
		}
		t.Logf("%d writes", syncs)
		if syncs > 10*1000/30 {
			t.Errorf("%d writes for %d failures", syncs, n)
		}
		l.end()
	})
}

// TestKillAmongManyNoticesLosesNone kills the program while 200 failures of one
// second are told: in both lives together each is told, and twice only what
// was under way.
// Faults: T47, T49.
func TestKillAmongManyNoticesLosesNone(t *testing.T) {
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
				files.WriteString(ops + c.group)
				for i := range n {
					files.WriteString(strings.Replace(watched(fmt.Sprint("m", i), "ops"), "interval = 10", "interval = 1", 1))
				}
				slowly := func(context.Context, []action.Notification) error { time.Sleep(500 * time.Millisecond); return nil }
				l := begin(t, d, files.String())
				l.mu.Lock()
				l.deliver = slowly
				l.mu.Unlock()
				time.Sleep(15 * time.Second)
				l.answer(down)
				time.Sleep(c.kill)
				copies := map[string]int{}
				for _, n := range l.heard() {
					copies[n.Key()]++
				}
				first := len(copies)
				d = l.kill()
				l = begin(t, d, files.String())
				l.answer(down) // before time passes, or some recover
				d.Set(nil, 50*time.Millisecond)
				l.mu.Lock()
				l.deliver = slowly
				l.mu.Unlock()
				time.Sleep(30 * time.Second)
				twice := 0
				for _, n := range l.heard() {
					if copies[n.Key()]++; copies[n.Key()] > 1 {
						twice++
					}
				}
				// Ten are under way at a time, and ten more may be told while one
				// write is under way; a group is one.
				if len(copies) != n || first == n || c.group == "" && twice > 20 {
					t.Errorf("%d failures are told before the kill, %d in all, %d twice, want %d in all", first, len(copies), twice, n)
				}
				l.end()
			})
		})
	}
}

// TestKeptStateIsOfOneMoment has a monitor fail while what is kept is collected: its
// incident and its notice are both in it, or neither.
// Faults: G36.
func TestKeptStateIsOfOneMoment(t *testing.T) {
	g := builtinGroup()
	d := g.cfg.Delivery.(deliveries).Deliverer
	set, problems := Parse("a.toml", fmt.Sprint(
		"[[receiver]]\nname = \"ops\"\ntype = \"exec\"\ncommand = \"/bin/true\"\n",
		strings.ReplaceAll(watched("a", "ops")+watched("z", "ops"), "type = \"fake\"\nname", "type = \"tcp\"\naddress = \"127.0.0.1:1\" #"),
	))
	if problems = append(problems, g.Apply(set, problems)...); len(problems) > 0 {
		t.Fatal(problems[0])
	}
	first, last := g.named("a"), g.named("z")
	first.mu.Lock()
	p := first.parts
	first.mu.Unlock()
	last.mu.Lock() // stops the collection behind the first monitor
	collected := make(chan delivery.Snapshot, 1)
	go func() { collected <- kept(g, d) }()
	for g.telling.TryRLock() { // until it has begun
		g.telling.RUnlock()
		runtime.Gosched()
	}
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		first.settle(p, &measurement{err: errDown, at: time.Now()})
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
	if k := kept(g, d); len(k.Incidents) != 1 || len(k.Pending) != 1 {
		t.Errorf("afterwards %+v is kept", k)
	}
}

// TestKeptStateHoldsAnIncidentThatIsJustResumed has a monitor come back while what
// is kept is collected: the incident that waited for it is in it all the same, and
// that it waits no more is written down.
// Faults: G36.
func TestKeptStateHoldsAnIncidentThatIsJustResumed(t *testing.T) {
	l, _ := delivery.OpenLedgerOn(testkit.NewMemDisk(), "/state", quiet)
	d := delivery.NewDeliverer(delivery.Options{Persister: l})
	cfg := builtinGroup().cfg
	cfg.Log, cfg.Delivery = quiet, deliveries{d, action.Builtin()}
	g := NewGroup(cfg)
	set, problems := Parse("a.toml", strings.ReplaceAll(watched("a")+watched("z"), "type = \"fake\"\nname", "type = \"tcp\"\naddress = \"127.0.0.1:1\" #"))
	if len(problems) > 0 {
		t.Fatal(problems[0])
	}
	late := set.Monitors[0]
	set.Monitors = set.Monitors[1:]
	if problems = g.Apply(set, nil); len(problems) > 0 {
		t.Fatal(problems[0])
	}
	g.Resume([]Incident{{Monitor: "a", ID: "1", Since: time.Now()}})
	other := g.named("z")
	other.mu.Lock() // stops the collection between monitors and what waits
	collected := make(chan delivery.Snapshot, 1)
	go func() { collected <- kept(g, d) }()
	for g.telling.TryRLock() { // until it has begun
		g.telling.RUnlock()
		runtime.Gosched()
	}
	for range 1000 {
		runtime.Gosched()
	}
	before := l.Changed()
	g.enter(g.newRunner(late, 7))
	if l.Changed() == before+1 {
		t.Error("that the incident waits no more counts as no change")
	}
	other.mu.Unlock()
	if k := <-collected; len(k.Incidents) != 1 {
		t.Errorf("%d incidents are kept, want 1", len(k.Incidents))
	}
	if k := kept(g, d); len(k.Incidents) != 1 || !k.Incidents[0].Absent.IsZero() {
		t.Errorf("afterwards %+v is kept", k.Incidents)
	}
}
