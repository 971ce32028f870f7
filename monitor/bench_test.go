package monitor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/config"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/state"
)

// bench is a running Group with the kind "fake" of probes and actions, which the test
// controls.
type bench struct {
	*Group
	mu            sync.Mutex
	probe         probeFunc                                          // guarded by mu
	starts        map[string][]time.Time                             // guarded by mu
	closed        map[string]int                                     // guarded by mu
	notifications []action.Notification                              // guarded by mu
	results       []Result                                           // guarded by mu
	deliver       func(context.Context, []action.Notification) error // guarded by mu
	messages      int                                                // guarded by mu; calls of actions
	notified      map[string]string                                  // guarded by mu; by receiver
	began         time.Time
	stop          func()

	testDelivery
}

type probeFunc = func(ctx context.Context, name string) (probe.Result, error)

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

// fakeAction records the notifications under the name of its key "to".
type fakeAction struct {
	b     *bench
	To    string `toml:"to"`
	Group bool   `toml:"group"`
	Good  bool   `toml:"good"` // notified of a start once the monitor is good
	Odd   string `toml:"odd"`  // the action warns of this key
}

func (a *fakeAction) Warnings() (all []error) {
	if a.Odd != "" {
		all = append(all, fmt.Errorf("odd: %q is odd", a.Odd))
	}
	return all
}

func (a *fakeAction) Inits() (atOnce, onceGood bool) { return !a.Good, a.Good }

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
	a.b.messages++
	a.b.notifications = append(a.b.notifications, ns...)
	for _, n := range ns {
		a.b.notified[a.To] += fmt.Sprintf("%s:%s ", n.Monitor, n.Event)
	}
	return nil
}

// withBench runs a test in a synctest bubble with a new bench.
func withBench(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newPlainBench(t)) })
}

// newBench returns a bench that stops at the end of the test, or earlier by stop.
// newPlainBench returns a bench without a journal, with the usual options.
func newPlainBench(t *testing.T) *bench { t.Helper(); return newBench(t, nil, delivery.Options{}) }

func newBench(t *testing.T, journal *Journal, options delivery.Options) *bench {
	t.Helper()
	b := &bench{starts: map[string][]time.Time{}, closed: map[string]int{}, notified: map[string]string{}, began: time.Now()}
	b.probe = up
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
	b.testDelivery = testDelivery{d, map[string]action.Kind{"fake": func(decode func(any) error, _ action.Env) (action.Action, error) {
		a := &fakeAction{b: b}
		return a, decode(a)
	}}}
	b.Group = NewGroup(Config{
		Probes:   map[string]probe.Kind{"fake": kind, "exec": kind},
		Delivery: b.testDelivery,
		Recorder: b,
		Journal:  journal,

		MaxPerSecond: 1_000_000, // no limit
		Log:          discardLog,
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.Run(ctx) })
	wg.Go(func() { _ = b.Group.Run(ctx) })
	b.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(b.stop)
	return b
}

func (b *bench) ledgerState() delivery.Snapshot { return ledgerState(b.Group, b.Deliverer) }

func (b *bench) apply(t *testing.T, file, text string) []*document.Problem {
	t.Helper()
	set, problems := Parse(file, text)
	return append(problems, b.Apply(t.Context(), set, problems)...)
}

// mustApply applies a document that has no problems.
func (b *bench) mustApply(t *testing.T, text string) {
	t.Helper()
	applyText(t, b.Group, text)
}

func (b *bench) setProbe(f probeFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probe = f
}

// setDeliver sets a function that runs before each notification is recorded; nil is
// none.
func (b *bench) setDeliver(f func(context.Context, []action.Notification) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deliver = f
}

// events returns all notifications as "monitor:event".
func (b *bench) events() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(eventsOf(b.notifications), " ")
}

func eventsOf(ns []action.Notification) []string {
	var events []string
	for _, n := range ns {
		events = append(events, fmt.Sprintf("%s:%s", n.Monitor, n.Event))
	}
	return events
}

func (b *bench) notifiedTo(to string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(b.notified[to])
}

// wantReceivers checks the number of receivers.
func (b *bench) wantReceivers(t *testing.T, n int) {
	t.Helper()
	if names := b.receiverNames(); len(names) != n {
		t.Errorf("receivers %q, want %d", names, n)
	}
}

func (b *bench) receiverNames() []string {
	var names []string
	for _, s := range b.Deliverer.Status() {
		names = append(names, s.Name)
	}
	return names
}

// listed returns all monitors as "id:name".
func (b *bench) listed() string {
	var all []string
	for _, i := range b.List(Filter{}) {
		all = append(all, fmt.Sprintf("%d:%s", i.ID, i.Name))
	}
	return strings.Join(all, " ")
}

func (b *bench) registerAs(t *testing.T, owner string, trusted bool, text string) (int64, error) {
	t.Helper()
	d := mustParse(t, text)
	d.Owner, d.Trusted = owner, trusted
	return b.Register(d)
}

func register(t *testing.T, b *bench, name string) int64 {
	t.Helper()
	d := mustParse(t, fmt.Sprintf(`{"name": %q, "probe": {"type": "fake", "name": %q}}`, name, name))
	id, err := b.Register(d)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

var errDown = errors.New("down")

func down(context.Context, string) (probe.Result, error) { return probe.Result{}, errDown }

func up(context.Context, string) (probe.Result, error) { return probe.Result{}, nil }

// returning returns a probe function that returns a value.
func returning(v float64) probeFunc {
	return func(context.Context, string) (probe.Result, error) { return probe.Result{Value: v}, nil }
}

// taking returns a probe function that takes d and returns err.
func taking(d time.Duration, err error) probeFunc {
	return func(context.Context, string) (probe.Result, error) {
		time.Sleep(d)
		return probe.Result{}, err
	}
}

// stuck returns a probe function that ignores its context and returns after release.
func stuck() (f probeFunc, release func()) {
	released := make(chan struct{})
	return func(context.Context, string) (probe.Result, error) {
		<-released
		return probe.Result{}, nil
	}, func() { close(released) }
}

// unavailable is a delivery function that fails.
func unavailable(context.Context, []action.Notification) error { return errors.New("no connection") }

// hanging is a delivery function that waits for its deadline.
func hanging(ctx context.Context, _ []action.Notification) error {
	<-ctx.Done()
	return ctx.Err()
}

// mustParse parses a valid definition.
func mustParse(t *testing.T, text string) *Definition {
	t.Helper()
	d, err := ParseOne(text)
	return must(t, d, err)
}

// must returns a result, and ends the test if there is an error instead.
func must[T any](t *testing.T, result T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func allowAll(*Definition) error { return nil }

func openJournal(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := OpenJournal(openRecords(t, state.OSDisk{}, dir))
	return must(t, j, err)
}

// openRecords opens the journal of a directory, which is neither damaged nor newer, for
// monitors and the ledger.
func openRecords(t *testing.T, d state.Disk, dir string) *state.Journal {
	t.Helper()
	j, err := state.OpenJournal(d, dir, slices.Concat(JournalKinds(), delivery.LedgerKinds()), state.Mark{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// newJournalBench returns a bench with the journal in a directory.
func newJournalBench(t *testing.T, dir string) *bench {
	t.Helper()
	return newBench(t, openJournal(t, dir), delivery.Options{})
}

// builtinGroup returns a Group with the built-in kinds that does not run.
func builtinGroup() *Group {
	return NewGroup(Config{
		Probes: probe.Builtin(), Delivery: newTestDelivery(action.Builtin()), Recorder: noRecorder{},
		MaxPerSecond: 1_000_000,
	})
}

type noRecorder struct{}

func (noRecorder) Record(Result) {}

// applyText applies a document that has no problems.
func applyText(t *testing.T, g *Group, text string) {
	t.Helper()
	set, problems := Parse("a.toml", text)
	if problems = append(problems, g.Apply(t.Context(), set, nil)...); len(problems) > 0 {
		t.Fatal(problems[0])
	}
}

// loadFiles reads the definitions of files and directories.
func loadFiles(paths ...string) (Set, []*document.Problem) {
	var set Set
	problems, _ := config.Load(context.Background(), &set, nil, paths...)
	return set, problems
}

var discardLog = testkit.QuietLog()
