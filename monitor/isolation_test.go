package monitor

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

func canceledContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// stuckProbe blocks in Close until hold is closed.
type stuckProbe struct{ hold chan struct{} }

func (p stuckProbe) Probe(context.Context) (probe.Result, error) { return probe.Result{}, nil }

func (p stuckProbe) Close() error {
	<-p.hold
	return nil
}

// storm registers, stops, starts and unregisters the monitor of a client.
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

// TestReceiverThatIsDownAtStartBlocksNoMonitor stops and lists a monitor whose Init
// is pending.
// Faults: G7, G16.
func TestReceiverThatIsDownAtStartBlocksNoMonitor(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setDeliver(unavailable)
		b.apply(t, "a.toml", monitorTOML("m", "interval = 5"))
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
	withBench(t, func(t *testing.T, b *bench) {
		b.setDeliver(hanging) // 30 s
		b.setProbe(down)
		b.apply(t, "a.toml", monitorTOML("m", "interval = 1\nrepeat = 1"))
		time.Sleep(2*time.Minute + time.Second)
		if i := b.List(Filter{})[0]; i.Probes < 120 || i.Missed != 0 {
			t.Errorf("%d probes in 121 s, %d missed", i.Probes, i.Missed)
		}
	})
}

// TestServersThatAreDownBlockNoStart applies monitors of servers that refuse
// connections or do not answer, and an invalid one.
// Faults: G17, G18.
func TestServersThatAreDownBlockNoStart(t *testing.T) {
	silent := testkit.Listen(t) // never accepts
	doc := "[[monitor]]\nname = \"broken\"\n[monitor.probe]\ntype = \"none\"\n"
	for i, address := range []string{silent.Addr().String(), "127.0.0.1:1"} {
		for kind, keys := range map[string]string{
			"mysql":    fmt.Sprintf("dsn = \"u:p@tcp(%s)/db\"\nquery = \"SELECT 1\"", address),
			"postgres": fmt.Sprintf("dsn = \"postgres://u:p@%s/db\"\nquery = \"SELECT 1\"", address),
			"redis":    fmt.Sprintf("address = %q", address),
		} {
			doc += fmt.Sprintf("[[monitor]]\nname = \"%s %d\"\nmax = 1\n[monitor.probe]\ntype = %q\n%s\n", kind, i, kind, keys)
		}
	}
	g := builtinGroup()
	began := time.Now()
	set, problems := Parse("a.toml", doc)
	problems = append(problems, g.Apply(t.Context(), set, problems)...)
	if took := time.Since(began); took > time.Second {
		t.Errorf("building took %v", took)
	}
	if len(problems) != 1 || problems[0].Monitor != "broken" || len(g.List(Filter{})) != 6 {
		t.Errorf("%d monitors, problems %v", len(g.List(Filter{})), problems)
	}
	if err := g.Run(canceledContext()); err != nil {
		t.Error(err)
	}
}

// Faults: I5.
func TestStuckProbeHurtsNoOther(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		release := make(chan struct{})
		b.setProbe(func(ctx context.Context, name string) (probe.Result, error) {
			if name == "stuck" {
				<-release // ignores its context
				return probe.Result{}, ctx.Err()
			}
			if name == "panics" {
				panic("oh")
			}
			return probe.Result{}, nil
		})
		b.mustApply(t, monitorTOML("stuck", "interval = 5")+monitorTOML("fine", "interval = 5")+monitorTOML("panics", "interval = 5"))
		time.Sleep(61 * time.Second)
		list := b.List(Filter{})
		if fine := list[1]; fine.Probes < 12 || fine.Missed != 0 || fine.State != OK {
			t.Errorf("fine: %+v", fine)
		}
		if stuck := list[0]; stuck.Missed < 10 {
			t.Errorf("stuck: %+v", stuck)
		}
		if panics := list[2]; panics.State != Failing || panics.Error != "the probe panicked: oh" {
			t.Errorf("panics: %+v", panics)
		}
		close(release)
	})
}

// Faults: T53.
func TestStuckMonitorIsUnregisteredAtOnce(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(func(ctx context.Context, _ string) (probe.Result, error) {
			<-ctx.Done()
			time.Sleep(200 * time.Millisecond)
			return probe.Result{}, ctx.Err()
		})
		register(t, b, "m")
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

// TestReloadRunsNoSecondProbe replaces a monitor whose probe ignores its context.
func TestReloadRunsNoSecondProbe(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		probe, release := stuck()
		b.setProbe(probe)
		for i := range 5 {
			b.apply(t, "a.toml", monitorTOML("m", fmt.Sprintf("interval = %d", 5+i)))
			time.Sleep(20 * time.Second)
		}
		b.mu.Lock()
		if got := len(b.starts["m"]); got != 1 {
			t.Errorf("%d probes run", got)
		}
		b.mu.Unlock()
		release()
		time.Sleep(20 * time.Second)
		if i := b.List(Filter{})[0]; i.State != OK {
			t.Errorf("afterwards: %+v", i)
		}
	})
}

// TestProbeThatCannotBeClosedBlocksNoChange removes monitors whose probes block in
// Close. All changes return at once. The Group ends after its probes are closed.
// Faults: T53.
func TestProbeThatCannotBeClosedBlocksNoChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		g := NewGroup(Config{
			Probes: map[string]probe.Kind{"fake": func(func(any) error, probe.Env) (probe.Probe, error) {
				return stuckProbe{hold}, nil
			}},
			Delivery: newTestDelivery(nil), Recorder: noRecorder{},
			Log: testkit.QuietLog(), MaxPerSecond: 1000,
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := testkit.Go(1, func(int) { _ = g.Run(ctx) })
		begin := time.Now()
		const probed = "\n[monitor.probe]\ntype = \"fake\"\n"
		applyText(t, g, "[[monitor]]\nname = \"a\""+probed+"[[monitor]]\nname = \"b\""+probed)
		applyText(t, g, "[[monitor]]\nname = \"b\"\ninterval = 5"+probed) // removes a, replaces b
		d := mustParse(t, "name = \"c\"\nprobe = { type = \"fake\" }")
		id, err := g.Register(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range []func(int64) error{g.Stop, g.Start, g.Unregister} {
			if err := change(id); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took > 0 {
			t.Errorf("the changes took %v", took)
		}
		cancel()
		done := make(chan struct{})
		go func() { ended(); close(done) }()
		synctest.Wait()
		select {
		case <-done:
			t.Error("the group ended before its probes were closed")
		default:
		}
		close(hold)
		<-done
	})
}

// TestAProbeMadeWhileAnOlderOneRunsIsClosed stops, starts and stops a monitor whose
// probe ignores its context. Both probes must be closed.
func TestAProbeMadeWhileAnOlderOneRunsIsClosed(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		probe, release := stuck()
		b.setProbe(probe)
		b.mustApply(t, monitorTOML("m", "interval = 10"))
		time.Sleep(11 * time.Second)
		id := b.List(Filter{})[0].ID
		for _, change := range []func(int64) error{b.Stop, b.Start, b.Stop} {
			if err := change(id); err != nil {
				t.Fatal(err)
			}
		}
		release()
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		if got := b.closed["m"]; got != 2 {
			t.Errorf("probes closed: got %d, want 2", got)
		}
	})
}

// TestStormOfChangesLosesNoMonitor has 50 clients change and list monitors at once,
// each with a monitor whose state it knows.
// Faults: G29, G35, T52.
func TestStormOfChangesLosesNoMonitor(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(taking(300*time.Millisecond, errDown))
		testkit.Go(50, func(c int) { storm(t, b, c) })()
		if list := b.List(Filter{}); len(list) != 0 {
			t.Errorf("%d monitors are left", len(list))
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
				t.Errorf("the last state of %s is %v", name, state)
			}
		}
		closed := 0
		for _, n := range b.closed {
			closed += n
		}
		if closed != 50*20*2 {
			t.Errorf("%d probes were closed, want %d", closed, 50*20*2)
		}
	})
}
