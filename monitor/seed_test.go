package monitor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

// Faults: G6.
func TestNonFiniteThresholdsAreRefused(t *testing.T) {
	for _, key := range []string{"min", "max", "warn_min", "warn_max"} {
		for _, value := range []string{"nan", "inf", "-inf"} {
			set, problems := Parse("a.toml", text("m", key+" = "+value))
			if len(set.Monitors) != 0 || len(problems) != 1 || !strings.Contains(problems[0].Error(), key+": ") {
				t.Errorf("%s = %s: %d monitors, %v", key, value, len(set.Monitors), problems)
			}
		}
	}
}

// TestReceiverThatIsDownAtStartBlocksNoMonitor: a monitor whose init cannot be told
// is stopped and listed at once.
// Faults: G7, G16.
func TestReceiverThatIsDownAtStartBlocksNoMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.mu.Lock()
		b.deliver = func(context.Context, []action.Notification) error { return errors.New("no connection") }
		b.mu.Unlock()
		b.apply(t, "a.toml", text("m", "interval = 5"))
		time.Sleep(21 * time.Second)
		if i := b.List(Filter{})[0]; !i.Running || i.Probes < 4 || i.State != OK {
			t.Errorf("after 21 s: %+v", i)
		}
		began := time.Now()
		if err := b.Stop(1); err != nil {
			t.Fatal(err)
		}
		if i := b.List(Filter{})[0]; i.Running {
			t.Errorf("stopped: %+v", i)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("stopping and listing waited for %v", took)
		}
	})
}

// Faults: G8.
func TestSlowActionDelaysNoProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.mu.Lock()
		b.deliver = func(ctx context.Context, _ []action.Notification) error {
			<-ctx.Done() // 30 s
			return ctx.Err()
		}
		b.mu.Unlock()
		b.answer(down)
		b.apply(t, "a.toml", text("m", "interval = 1\nrepeat = 1"))
		time.Sleep(2*time.Minute + time.Second)
		if i := b.List(Filter{})[0]; i.Probes < 120 || i.Missed != 0 {
			t.Errorf("%d probes in 121 s, %d missed", i.Probes, i.Missed)
		}
	})
}

// TestServersThatAreDownBlockNoStart applies definitions of servers that
// refuse and that are silent, and a broken one beside.
// Faults: G17, G18.
func TestServersThatAreDownBlockNoStart(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // never accepts
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var doc strings.Builder
	for i, address := range []string{silent.Addr().String(), "127.0.0.1:1"} {
		for kind, keys := range map[string]string{
			"mysql":    fmt.Sprintf("dsn = \"u:p@tcp(%s)/db\"\nquery = \"SELECT 1\"", address),
			"postgres": fmt.Sprintf("dsn = \"postgres://u:p@%s/db\"\nquery = \"SELECT 1\"", address),
			"redis":    fmt.Sprintf("address = %q", address),
		} {
			fmt.Fprintf(&doc, "[[monitor]]\nname = \"%s %d\"\nmax = 1\n[monitor.probe]\ntype = %q\n%s\n", kind, i, kind, keys)
		}
	}
	doc.WriteString("[[monitor]]\nname = \"broken\"\n[monitor.probe]\ntype = \"none\"\n")
	g := builtinGroup()
	began := time.Now()
	set, problems := Parse("a.toml", doc.String())
	problems = append(problems, g.Apply(set, problems)...)
	if took := time.Since(began); took > time.Second {
		t.Errorf("building took %v", took)
	}
	if len(problems) != 1 || problems[0].Monitor != "broken" || len(g.List(Filter{})) != 6 {
		t.Errorf("%d monitors, problems %v", len(g.List(Filter{})), problems)
	}
	if err := g.Run(canceled()); err != nil {
		t.Error(err)
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// TestNumbersMeanTheSameInTOMLAndJSON builds what goma refused.
// Faults: G19, G20, G21.
func TestNumbersMeanTheSameInTOMLAndJSON(t *testing.T) {
	for _, doc := range []string{
		"name = \"m\"\n[probe]\ntype = \"exec\"\ncommand = \"/bin/true\"\nerrval = 1\n[filter]\ntype = \"average\"\nwindow = 3\ninit = 0\n[[actions]]\ntype = \"http\"\nurl_fail = \"http://192.0.2.1\"\ntimeout = 7",
		`{"name":"m","probe":{"type":"exec","command":"/bin/true","errval":1},"filter":{"type":"average","window":3,"init":0},"actions":[{"type":"http","url_fail":"http://192.0.2.1","timeout":7}]}`,
	} {
		d, err := ParseOne(doc)
		if err != nil {
			t.Fatal(err)
		}
		d.Trusted = true
		g := builtinGroup()
		p, wanted, err := g.check(d)
		if err != nil {
			t.Fatal(err)
		}
		if got := wanted[0].action.(action.Deadliner).Deadline(); got != 7*time.Second {
			t.Errorf("the timeout is %v, want 7s", got)
		}
		if got := len(p.value.(*average).w.values); got != 3 {
			t.Errorf("the window is %d", got)
		}
		g.closeProbe("m", p)
	}
}

// TestFailedProbeDoesNotPoisonTheAverage has one probe give an infinity.
// Faults: G22.
func TestFailedProbeDoesNotPoisonTheAverage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.answer(func(context.Context, string) (probe.Result, error) { return probe.Result{Value: math.Inf(1)}, nil })
		doc := strings.ReplaceAll(text("m", "interval = 5\nmax = 10"), "[[monitor.actions]]", "[monitor.filter]\ntype = \"average\"\nwindow = 3\n[[monitor.actions]]")
		if p := b.apply(t, "a.toml", doc); len(p) > 0 {
			t.Fatal(p[0])
		}
		time.Sleep(6 * time.Second)
		if i := b.List(Filter{})[0]; i.State != Failing || i.Error != "invalid value +Inf" {
			t.Errorf("infinity: %+v", i)
		}
		b.answer(func(context.Context, string) (probe.Result, error) { return probe.Result{Value: 4}, nil })
		time.Sleep(5 * time.Second)
		if i := b.List(Filter{})[0]; i.State != OK || i.Value != 4 {
			t.Errorf("afterwards: %+v", i)
		}
	})
}

// TestStormOfChangesLosesNoMonitor has many clients change and read at once, each
// with a monitor of its own whose state it knows; the race detector watches.
// Faults: G29, G35, T52.
func TestStormOfChangesLosesNoMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.answer(func(ctx context.Context, _ string) (probe.Result, error) {
			time.Sleep(300 * time.Millisecond)
			return probe.Result{}, errDown
		})
		var clients sync.WaitGroup
		for c := range 50 {
			clients.Go(func() { storm(t, b, c) })
		}
		clients.Wait()
		if list := b.List(Filter{}); len(list) != 0 {
			t.Errorf("%d ghosts", len(list))
		}
		time.Sleep(5 * time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		last := map[string]State{}
		for _, r := range b.results {
			last[r.Name] = r.State
		}
		for name, state := range last {
			if state != Stopped {
				t.Errorf("the last word on %s is %v", name, state)
			}
		}
		made := 0
		for _, n := range b.closed {
			made += n
		}
		if made != 50*20*2 {
			t.Errorf("%d probes were given back, want %d", made, 50*20*2)
		}
	})
}

// storm makes a client register, stop, start and unregister its monitor.
func storm(t *testing.T, b *bench, client int) {
	name := fmt.Sprintf("m%d", client)
	for round := range 20 {
		d, err := ParseOne(fmt.Sprintf(`{"name": %q, "interval": 1, "probe": {"type": "fake", "name": %q}}`, name, name))
		if err != nil {
			t.Error(err)
			return
		}
		id, err := b.Register(d)
		if err != nil {
			t.Error(err)
			return
		}
		time.Sleep(time.Duration(client*round%7) * 200 * time.Millisecond)
		for i, change := range []func(int64) error{b.Stop, b.Start, b.Unregister} {
			if err := change(id); err != nil {
				t.Error(err)
			}
			info, err := b.Get(id)
			if gone := errors.Is(err, ErrNotFound); gone != (i == 2) || !gone && info.Running != (i == 1) {
				t.Errorf("after change %d: %+v, %v", i, info, err)
			}
		}
	}
}

// TestListDoesNotGrowWithIDsEverGiven registers and unregisters many times.
// Faults: G30.
func TestListDoesNotGrowWithIDsEverGiven(t *testing.T) {
	b := builtinGroup()
	d, err := ParseOne(`{"name": "m", "probe": {"type": "tcp", "address": "192.0.2.1:1"}}`)
	if err != nil {
		t.Fatal(err)
	}
	for range 20_000 {
		id, err := b.Register(d)
		if err == nil {
			err = b.Unregister(id)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.byID) + len(b.byName) + len(b.scheduler.jobs) + len(b.receivers.uses) + len(b.receivers.inline); n != 0 {
		t.Errorf("%d things are left", n)
	}
	if allocs := testing.AllocsPerRun(100, func() { b.List(Filter{}) }); allocs > 5 {
		t.Errorf("listing nothing allocates %v times", allocs)
	}
}

// TestNamesAreSafeAndUnique also registers a name that a file uses.
// Faults: G31.
func TestNamesAreSafeAndUnique(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.apply(t, "a.toml", text("m", ""))
		for _, name := range []string{"", "a\\u0000", "a\\nb", "\\u202e", " a", "a ", "a  b", "\\u00a0a", strings.Repeat("x", 1<<15)} {
			if _, err := ParseOne(`{"name": "` + name + `", "probe": {"type": "fake"}}`); err == nil {
				t.Errorf("%.20q is accepted", name)
			}
		}
		d, err := ParseOne(`{"name": "m", "probe": {"type": "fake"}}`)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Register(d); !errors.Is(err, ErrExists) {
			t.Errorf("got %v", err)
		}
	})
}

// Faults: G32.
func TestIntervalsAreBounded(t *testing.T) {
	for _, keys := range []string{
		"interval = -1", "interval = 0.001", "interval = 86401", "interval = 9223372036854775807", "interval = \"1ns\"",
		"interval = 10\ntimeout = 11", "interval = 10\ntimeout = -1", "interval = 10\nretry_interval = 0.1",
	} {
		if set, problems := Parse("a.toml", text("m", keys)); len(set.Monitors) != 0 || len(problems) != 1 {
			t.Errorf("%s: %d monitors, %v", keys, len(set.Monitors), problems)
		}
	}
	d, err := ParseOne(`{"name": "m", "probe": {"type": "x"}, "interval": 0, "timeout": 0}`)
	if err != nil || d.Interval != time.Minute || d.Timeout != 59*time.Second {
		t.Errorf("zero is unset, as goma's client sends it: %+v, %v", d, err)
	}
}

// Faults: G33.
func TestUnknownKeysAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"name": "m", "probe": {"type": "x"}, "actoins": []}`:     "actoins: unknown key",
		`{"name": "m", "probe": {"type": "x"}} {}`:                 "more text follows",
		`{"name": "m", "probe": {"type": "x"}}x`:                   "more text follows",
		`{"name": "m", "name": "n", "probe": {"type": "x"}}`:       `the key "name" is there twice`,
		`{"name": "m", "probe": {"type": "x", "Type": 1}`:          "unexpected EOF",
		`{"name": "m", "probe": {"type": "x"}, "interval": 1e999}`: "out of range",
		`{"name": "m", "probe": [` + strings.Repeat("[", 200):      "nests deeper",
		"{\"name\": \"\xff\"}":                                     "not valid UTF-8",
		"name = \"m\"\nx = 1\n[probe]\ntype = \"x\"":               "x: unknown key",
		strings.Repeat("#", MaxDefinition+1):                       "larger than 65536 bytes",
		"[[receiver]]\nname=\"r\"\ntype=\"x\"":                     "want one monitor and no receiver, have 0 and 1",
	} {
		if _, err := ParseOne(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %s", text, err, want)
		}
	}
}

// TestDeadlineIsBelowTheInterval has probes that take all the time they get: there
// is time left before the next, and none is missed.
func TestDeadlineIsBelowTheInterval(t *testing.T) {
	for keys, want := range map[string]time.Duration{
		"interval = 10":                  9500 * time.Millisecond,
		"interval = 10\ntimeout = 10":    9500 * time.Millisecond,
		"interval = 10\ntimeout = 9.5":   9500 * time.Millisecond,
		"interval = 10\ntimeout = 3":     3 * time.Second,
		"interval = 1":                   950 * time.Millisecond,
		"interval = 60":                  57 * time.Second,
		"interval = 86400\ntimeout = 59": 59 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			b, stop := newBench(t)
			defer stop()
			var mu sync.Mutex
			var had []time.Duration
			b.answer(func(ctx context.Context, _ string) (probe.Result, error) {
				began := time.Now()
				<-ctx.Done()
				mu.Lock()
				defer mu.Unlock()
				had = append(had, time.Since(began))
				return probe.Result{}, context.Cause(ctx)
			})
			if p := b.apply(t, "a.toml", text("m", keys)); len(p) > 0 {
				t.Fatal(p[0])
			}
			interval := b.List(Filter{})[0].Interval
			time.Sleep(4*interval + maxFirstDelay)
			mu.Lock()
			defer mu.Unlock()
			if len(had) < 4 {
				t.Fatalf("%s: %d probes in four intervals", keys, len(had))
			}
			for _, d := range had {
				if d != want || d >= interval {
					t.Errorf("%s: a probe had %v, want %v", keys, d, want)
				}
			}
			if i := b.List(Filter{})[0]; i.Missed != 0 || i.Error != fmt.Sprintf("no answer within %v", want) {
				t.Errorf("%s: %d missed, error %q", keys, i.Missed, i.Error)
			}
		})
	}
}

// TestMonitorNeverProbedIsUnknown looks before and after the first probe.
// Faults: G38.
func TestMonitorNeverProbedIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.apply(t, "a.toml", text("m", "interval = 5"))
		if i := b.List(Filter{})[0]; i.State != Unknown || i.Failing || !i.Running || i.NextProbe.IsZero() || !i.LastProbe.IsZero() {
			t.Errorf("before: %+v", i)
		}
		time.Sleep(6 * time.Second)
		if i := b.List(Filter{})[0]; i.State != OK || i.LastProbe.IsZero() {
			t.Errorf("after: %+v", i)
		}
	})
}

// TestRetriesKeepThePhase has one bad sample in between, which is told to
// nobody, and looks that the probes come as regularly as before.
// Faults: G39.
func TestRetriesKeepThePhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		calls := 0
		b.answer(func(context.Context, string) (probe.Result, error) {
			time.Sleep(137 * time.Millisecond)
			calls++
			if calls == 3 || calls == 8 || calls == 9 || calls == 10 {
				return probe.Result{}, errDown
			}
			return probe.Result{}, nil
		})
		b.apply(t, "a.toml", text("m", "interval = 10\nfailures_before_alert = 3\nretry_interval = 1"))
		time.Sleep(75 * time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		var got []time.Duration
		for _, at := range b.starts["m"] {
			got = append(got, at.Sub(b.starts["m"][0]))
		}
		s := time.Second
		// Each retry begins a second after the answer before, in a slot of 50 ms.
		want := []time.Duration{0, 10 * s, 20 * s, 21150 * time.Millisecond, 30 * s, 40 * s, 50 * s, 60 * s, 61150 * time.Millisecond, 62300 * time.Millisecond, 70 * s}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("probes began after\n%v, want\n%v", got, want)
		}
		var told []string
		for _, n := range b.notices {
			told = append(told, fmt.Sprintf("%s %d", n.Event, n.Failures))
		}
		if got, want := strings.Join(told, ", "), "init 0, fail 3, recover 3"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	})
}

// TestPhaseHoldsWhileConfirming has a monitor without retry_interval.
func TestPhaseHoldsWhileConfirming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.answer(func(context.Context, string) (probe.Result, error) {
			time.Sleep(900 * time.Millisecond)
			return probe.Result{}, errDown
		})
		b.apply(t, "a.toml", text("m", "interval = 10\nfailures_before_alert = 4"))
		time.Sleep(95 * time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		at := b.starts["m"]
		for i := range at {
			if got := at[i].Sub(at[0]); got != time.Duration(i)*10*time.Second {
				t.Errorf("probe %d came after %v", i, got)
			}
		}
	})
}

// TestFrozenProcessMakesNoBurst calls the scheduler late, as it is after a
// SIGSTOP, and counts what was missed.
// Faults: T17.
func TestFrozenProcessMakesNoBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		var all strings.Builder
		const n = 200
		for i := range n {
			all.WriteString(text(fmt.Sprintf("m%d", i), "interval = 20"))
		}
		b.apply(t, "a.toml", all.String())
		time.Sleep(61 * time.Second)
		stop() // and nobody calls the scheduler for five minutes
		b.mu.Lock()
		clear(b.starts)
		b.mu.Unlock()
		s := b.scheduler
		for _, r := range b.sorted() {
			whole, err := r.def.unpacked()
			if err != nil {
				t.Fatal(err)
			}
			p, err := b.build(whole)
			if err != nil {
				t.Fatal(err)
			}
			r.parts = p
			s.at(r.job, r.tickAfter(time.Now()))
		}
		time.Sleep(5 * time.Minute)
		woke := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		time.Sleep(60 * time.Second)
		cancel()
		wg.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		perSecond := map[int]int{}
		for name, at := range b.starts {
			perSecond[int(at[0].Sub(woke)/time.Second)]++
			for i := 2; i < len(at); i++ {
				if at[i].Sub(at[i-1]) != 20*time.Second {
					t.Fatalf("%s ran after %v", name, at[i].Sub(at[i-1]))
				}
			}
		}
		if len(b.starts) != n || len(perSecond) > 11 {
			t.Errorf("%d monitors ran, over %d seconds", len(b.starts), len(perSecond))
		}
		for second, c := range perSecond {
			if c > n/4 {
				t.Errorf("%d ran in second %d", c, second)
			}
		}
		for _, r := range b.sorted() {
			if r.missed < 14 || r.missed > 15 {
				t.Fatalf("%s missed %d", r.def.Name, r.missed)
			}
		}
	})
}

// Faults: T53.
func TestStuckMonitorIsUnregisteredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.answer(func(ctx context.Context, _ string) (probe.Result, error) {
			<-ctx.Done()
			time.Sleep(200 * time.Millisecond)
			return probe.Result{}, ctx.Err()
		})
		b.apply(t, "a.toml", text("m", "interval = 60"))
		time.Sleep(15 * time.Second)
		began := time.Now()
		if err := b.Unregister(1); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		time.Sleep(time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.closed["m"] != 1 || b.results[len(b.results)-1].State != Stopped {
			t.Errorf("closed %d times; results %v", b.closed["m"], b.results)
		}
	})
}

// TestReloadRunsNoSecondProbe replaces a monitor whose probe obeys nobody.
func TestReloadRunsNoSecondProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		release := make(chan struct{})
		b.answer(func(context.Context, string) (probe.Result, error) {
			<-release
			return probe.Result{}, nil
		})
		for i := range 5 {
			b.apply(t, "a.toml", text("m", fmt.Sprintf("interval = %d", 5+i)))
			time.Sleep(20 * time.Second)
		}
		b.mu.Lock()
		if got := len(b.starts["m"]); got != 1 {
			t.Errorf("%d probes run", got)
		}
		b.mu.Unlock()
		close(release)
		time.Sleep(20 * time.Second)
		if i := b.List(Filter{})[0]; i.State != OK {
			t.Errorf("afterwards: %+v", i)
		}
	})
}

// TestBadFilesOfADirectorySpoilNoOthers reads a directory with all that can be wrong
// in one.
// Faults: T74.
func TestBadFilesOfADirectorySpoilNoOthers(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	monitor := func(name string) string {
		return fmt.Sprintf("[[monitor]]\nname = %q\n[monitor.probe]\ntype = \"exec\"\ncommand = \"/bin/true\"\n", name)
	}
	for i := range 49 {
		write(fmt.Sprintf("good%d.toml", i), monitor(fmt.Sprintf("good%d", i)), 0o644)
	}
	write("syntax.toml", "[[monitor", 0o644)
	write("twice.toml", monitor("good7"), 0o644)
	write("unknown.toml", monitor("u")+"agrs = []", 0o644)
	write("writable.toml", monitor("w"), 0o666)
	write("nan.toml", strings.Replace(monitor("n"), "\n[", "\nmin = nan\n[", 1), 0o644)
	write("big.toml", strings.Repeat("#", 10<<20), 0o644)
	write(".hidden.toml", "x", 0o644)
	write("other.txt", "x", 0o644)
	if err := os.Symlink("loop.toml", filepath.Join(dir, "loop.toml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.toml"), 0o755); err != nil {
		t.Fatal(err)
	}
	testkit.MakeFIFO(t, filepath.Join(dir, "pipe.toml"))

	g := builtinGroup()
	set, problems := loadFiles(dir)
	problems = append(problems, g.Apply(set, problems)...)
	document.SortProblems(problems)
	us, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range problems {
		text := strings.TrimPrefix(p.Error(), dir+"/")
		if strings.HasPrefix(text, "unknown.toml") {
			text, _, _ = strings.Cut(text, ";")
		}
		text = strings.ReplaceAll(text, "owner "+us.Username, "owner USER")
		got = append(got, strings.ReplaceAll(text, dir, "DIR"))
	}
	want := []string{
		"big.toml: larger than 4 MiB, the most that is read: split it",
		"dir.toml: not a regular file",
		"loop.toml: cannot open it: too many levels of symbolic links",
		`nan.toml:3: monitor "n": min: NaN is not a finite number`,
		"pipe.toml: not a regular file",
		"syntax.toml:1: expected '.' or ']' to end table name, but got '\\x00' instead: the header is not closed",
		`twice.toml:1: monitor "good7": the name is used already at DIR/good7.toml:1`,
		`unknown.toml:6: monitor "u": probe exec: agrs: unknown key`,
		"writable.toml: warning: group or others may write the file (mode 0666, owner USER): its exec probes and actions are refused; \"chmod go-w DIR/writable.toml\" heals it",
		`writable.toml:1: monitor "w": exec is refused: group or others may write the file (mode 0666, owner USER)`,
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
	if n := len(g.List(Filter{})); n != 49 {
		t.Errorf("%d monitors, want 49", n)
	}
	// A directory that cannot be read leaves all as it is.
	again := g.Apply(Set{}, []*document.Problem{{File: dir, Err: errors.New("no")}})
	if n := len(g.List(Filter{})); n != 49 || len(again) != 0 {
		t.Errorf("%d monitors after the directory was gone, %v", n, again)
	}
}
