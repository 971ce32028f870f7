package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/probe"
)

// bench is a Group with probes and actions that the test controls.
type bench struct {
	*Group
	mu      sync.Mutex
	probe   func(ctx context.Context, name string) (probe.Result, error) // guarded by mu
	starts  map[string][]time.Time                                       // guarded by mu
	closed  map[string]int                                               // guarded by mu
	notices []action.Notification                                        // guarded by mu
	results []Result                                                     // guarded by mu
	deliver func(context.Context, []action.Notification) error           // guarded by mu
	calls   int                                                          // guarded by mu; of actions
	told    map[string]string                                            // guarded by mu; by receiver
	began   time.Time

	deliveries
}

type fakeProbe struct {
	b    *bench
	name string
}

func (p *fakeProbe) Probe(ctx context.Context) (probe.Result, error) {
	p.b.mu.Lock()
	p.b.starts[p.name] = append(p.b.starts[p.name], time.Now())
	f := p.b.probe
	p.b.mu.Unlock()
	return f(ctx, p.name)
}

func (p *fakeProbe) Close() error {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	p.b.closed[p.name]++
	return nil
}

func (b *bench) Record(r Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.results = append(b.results, r)
}

// fakeAction is one of the kind "fake", which keeps what it is told under the
// name that its key "to" gives.
type fakeAction struct {
	b     *bench
	To    string `toml:"to"`
	Group bool   `toml:"group"`
}

func (a *fakeAction) Groups() bool { return a.Group }

func (a *fakeAction) Notify(ctx context.Context, ns []action.Notification) error {
	a.b.mu.Lock()
	f := a.b.deliver
	a.b.mu.Unlock()
	if f != nil {
		if err := f(ctx, ns); err != nil {
			return err
		}
	}
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	a.b.calls++
	a.b.notices = append(a.b.notices, ns...)
	for _, n := range ns {
		a.b.told[a.To] += fmt.Sprintf("%s:%s ", n.Monitor, n.Event)
	}
	return nil
}

// newBench returns a running Group in a synctest bubble; stop ends it.
func newBench(t *testing.T) (b *bench, stop func()) {
	t.Helper()
	return newBenchWith(t, nil)
}

func newBenchWith(t *testing.T, journal *Journal) (b *bench, stop func()) {
	t.Helper()
	return newBenchOf(t, journal, delivery.Options{})
}

func newBenchOf(t *testing.T, journal *Journal, options delivery.Options) (b *bench, stop func()) {
	t.Helper()
	b = &bench{starts: map[string][]time.Time{}, closed: map[string]int{}, told: map[string]string{}, began: time.Now()}
	b.probe = func(context.Context, string) (probe.Result, error) { return probe.Result{}, nil }
	kind := func(decode func(any) error, _ probe.Env) (probe.Probe, error) {
		c := struct {
			Name string `toml:"name"`
		}{}
		if err := decode(&c); err != nil {
			return nil, err
		}
		return &fakeProbe{b, c.Name}, nil
	}
	d := delivery.NewDeliverer(options)
	b.deliveries = deliveries{d, map[string]action.Kind{"fake": func(decode func(any) error, _ action.Env) (action.Action, error) {
		a := &fakeAction{b: b}
		return a, decode(a)
	}}}
	b.Group = NewGroup(Config{
		Probes:   map[string]probe.Kind{"fake": kind, "exec": kind},
		Delivery: b.deliveries,
		Recorder: b,
		Journal:  journal,
		// Each test may register what it likes.
		MaxPerSecond: 1_000_000,
		Log:          slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.Run(ctx) })
	wg.Go(func() { _ = b.Group.Run(ctx) })
	return b, func() { cancel(); wg.Wait() }
}

// Kept returns what a ledger writes down.
func (b *bench) Kept() delivery.Snapshot { return kept(b.Group, b.Deliverer) }

// text is a document of one monitor.
func text(name, keys string) string {
	return fmt.Sprintf("[[monitor]]\nname = %q\n%s\n[monitor.probe]\ntype = \"fake\"\nname = %q\n[[monitor.actions]]\ntype = \"fake\"\n", name, keys, name)
}

func (b *bench) apply(t *testing.T, file, text string) []*document.Problem {
	t.Helper()
	set, problems := Parse(file, text)
	return append(problems, b.Apply(set, problems)...)
}

func (b *bench) answer(f func(ctx context.Context, name string) (probe.Result, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probe = f
}

func (b *bench) events() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, n := range b.notices {
		out = append(out, fmt.Sprintf("%s:%s", n.Monitor, n.Event))
	}
	return strings.Join(out, " ")
}

var errDown = errors.New("down")

func down(context.Context, string) (probe.Result, error) { return probe.Result{}, errDown }
func up(context.Context, string) (probe.Result, error)   { return probe.Result{}, nil }

func TestFailureAndRecoveryAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		if p := b.apply(t, "a.toml", text("m", "interval = 10\nfailures_before_alert = 3\nretry_interval = 1")); len(p) > 0 {
			t.Fatal(p[0])
		}
		time.Sleep(15 * time.Second)
		b.answer(down)
		time.Sleep(12 * time.Second)
		info := b.List(Filter{})[0]
		if info.State != Failing || !info.Failing || info.Error != "down" {
			t.Errorf("12s after the failure the monitor is %+v", info)
		}
		b.answer(up)
		time.Sleep(10 * time.Second)
		if got, want := b.events(), "m:init m:fail m:recover"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		fail, recover := b.notices[1], b.notices[2]
		if fail.Incident == "" || fail.Incident != recover.Incident || fail.Seq >= recover.Seq || recover.Duration <= 0 || fail.Error != "down" || fail.Host != "here" {
			t.Errorf("fail %+v, recover %+v", fail, recover)
		}
	})
}

// Faults: G37.
func TestFirstProbesAreSpreadAndPhasesHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		var all strings.Builder
		const n = 500
		for i := range n {
			all.WriteString(text(fmt.Sprintf("m%d", i), "interval = 20"))
		}
		if p := b.apply(t, "a.toml", all.String()); len(p) > 0 {
			t.Fatal(p[0])
		}
		time.Sleep(99 * time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		perSecond := map[int]int{}
		for name, at := range b.starts {
			if len(at) != 5 {
				t.Fatalf("%s ran %d times, want 5", name, len(at))
			}
			// A place of exactly ten seconds is the last of the tenth.
			perSecond[int((at[0].Sub(b.began)-1)/time.Second)]++
			for i := 1; i < len(at); i++ {
				if at[i].Sub(at[i-1]) != 20*time.Second {
					t.Fatalf("%s ran %v after the time before", name, at[i].Sub(at[i-1]))
				}
			}
		}
		for s := range 10 {
			if c := perSecond[s]; c < n/10/2 || c > n/10*2 {
				t.Errorf("%d of %d first probes in second %d", c, n, s)
			}
		}
		if len(perSecond) > 10 {
			t.Errorf("first probes came over %d seconds", len(perSecond))
		}
	})
}

// Faults: I5.
func TestStuckProbeHurtsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		release := make(chan struct{})
		b.answer(func(ctx context.Context, name string) (probe.Result, error) {
			if name == "stuck" {
				<-release // does not even obey its context
				return probe.Result{}, ctx.Err()
			}
			if name == "panics" {
				panic("oh")
			}
			return probe.Result{}, nil
		})
		if p := b.apply(t, "a.toml", text("stuck", "interval = 5")+text("fine", "interval = 5")+text("panics", "interval = 5")); len(p) > 0 {
			t.Fatal(p[0])
		}
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

// Faults: G36.
func TestStopKeepsTheIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.answer(down)
		if p := b.apply(t, "a.toml", text("m", "interval = 5")); len(p) > 0 {
			t.Fatal(p[0])
		}
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
		b.answer(up)
		time.Sleep(11 * time.Second)
		if got, want := b.events(), "m:init m:fail m:init m:recover"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	})
}

// Faults: T74.
func TestReloadKeepsUnchangedMonitors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		b.answer(down)
		b.apply(t, "a.toml", text("same", "interval = 5")+text("changes", "interval = 5")+text("goes", "interval = 5"))
		time.Sleep(11 * time.Second)
		before := b.List(Filter{})
		b.apply(t, "a.toml", text("changes", "interval = 7")+text("same", "interval = 5")+text("comes", "interval = 5"))
		after := b.List(Filter{})
		if len(after) != 3 || after[0].Name != "same" || after[0].Probes != before[0].Probes || !after[0].NextProbe.Equal(before[0].NextProbe) {
			t.Errorf("after: %+v", after)
		}
		if after[1].Name != "changes" || after[1].ID != before[1].ID || after[1].Interval != 7*time.Second || !after[1].Failing {
			t.Errorf("changes: %+v", after[1])
		}
		if after[2].Name != "comes" || after[2].ID != 4 {
			t.Errorf("comes: %+v", after[2])
		}
		// A file that cannot be read leaves its monitors running.
		if p := b.apply(t, "a.toml", "[[monitor]"); len(p) != 1 {
			t.Errorf("problems %v", p)
		}
		if got := len(b.List(Filter{})); got != 3 {
			t.Errorf("%d monitors after a bad file", got)
		}
		time.Sleep(11 * time.Second)
		b.answer(up)
		time.Sleep(20 * time.Second)
		if got := strings.Count(b.events(), "same:"); got != 3 {
			t.Errorf("same was told of %d times: %s", got, b.events())
		}
		if got := strings.Count(b.events(), "changes:fail"); got != 1 {
			t.Errorf("changes failed %d times: %s", got, b.events())
		}
	})
}

func TestExecCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		var mu sync.Mutex
		running, most := 0, 0
		b.answer(func(context.Context, string) (probe.Result, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(2 * time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return probe.Result{}, nil
		})
		var all strings.Builder
		for i := range 100 {
			all.WriteString(strings.ReplaceAll(text(fmt.Sprintf("m%d", i), "interval = 60"), "[monitor.probe]\ntype = \"fake\"", "[monitor.probe]\ntype = \"exec\""))
		}
		if p := b.apply(t, "a.toml", all.String()); len(p) > 0 {
			t.Fatal(p[0])
		}
		time.Sleep(30 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if most != 16 {
			t.Errorf("%d commands ran at once, want 16", most)
		}
		for _, i := range b.List(Filter{}) {
			if i.Probes != 1 {
				t.Fatalf("%s ran %d times", i.Name, i.Probes)
			}
		}
	})
}

func TestRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBench(t)
		defer stop()
		d, err := ParseOne(`{"name": "m", "interval": 5, "probe": {"type": "fake", "name": "m"}}`)
		if err != nil {
			t.Fatal(err)
		}
		id, err := b.Register(d)
		if err != nil || id != 1 {
			t.Fatalf("id %d, %v", id, err)
		}
		if again, err := b.Register(d); again != id || err != nil {
			t.Errorf("twice: id %d, %v", again, err)
		}
		other, err := ParseOne(`{"name": "m", "interval": 6, "probe": {"type": "fake", "name": "m"}}`)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Register(other); !errors.Is(err, ErrExists) {
			t.Errorf("another of its name: %v", err)
		}
		written, err := ParseOne(`{"name": "w", "probe": {"type": "fake"}, "actions": [{"type": "fake"}]}`)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Register(written); !errors.Is(err, errReceiversOnly) {
			t.Errorf("an operator's action written out: %v", err)
		}
		if err := b.Unregister(id); err != nil {
			t.Fatal(err)
		}
		if err := b.Unregister(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("twice: %v", err)
		}
		if id, err = b.Register(d); err != nil || id != 2 {
			t.Errorf("again: id %d, %v; ids are never used again", id, err)
		}
	})
}
