package monitor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

// TestEveryFailureHasItsRecoveryAcrossRestarts runs several instances, which stop or
// are killed. Targets fail and recover at random, files change, and receivers
// refuse, hang or lose responses. In the end all targets are healthy. Each receiver
// must have received each recovery after its failure, no failure without its
// recovery, and each group with the same members.
// Faults: T45, T47, T49, I6.
func TestEveryFailureHasItsRecoveryAcrossRestarts(t *testing.T) {
	seeds, first := uint64(25), rand.Uint64N(1<<32)
	switch {
	case testkit.Nightly():
		seeds = 1000
	case testing.Short():
		seeds = 5
	}
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newSimulation(seed).run(t) })
		})
	}
}

// simulation is the state outside of the instances.
type simulation struct {
	random *rand.Rand // for the goroutine of the test
	disk   *testkit.MemDisk

	mu             sync.Mutex // guards all that follows
	receiverRandom *rand.Rand // for the receivers
	healthy        bool       // nothing fails
	killed         bool       // notifications are ignored
	failing        map[string]bool
	received       map[string][]string        // by receiver, keys in order
	acknowledged   map[string]map[string]bool // by receiver, keys that were acknowledged
	groups         map[string]string          // by receiver and key, all keys of the message
	errors         []string
}

func newSimulation(seed uint64) *simulation {
	return &simulation{
		random: rand.New(rand.NewPCG(seed, 1)), receiverRandom: rand.New(rand.NewPCG(seed, 2)), disk: testkit.NewMemDisk(),
		failing: map[string]bool{}, received: map[string][]string{}, acknowledged: map[string]map[string]bool{}, groups: map[string]string{},
	}
}

func (w *simulation) run(t *testing.T) {
	for range 2 + w.random.IntN(5) {
		w.runInstance(t, w.files(false), func() {
			for range 1 + w.random.IntN(20) {
				w.toggle(fmt.Sprint("m", w.random.IntN(5)))
				time.Sleep(time.Duration(w.random.IntN(15000)) * time.Millisecond)
			}
			if w.random.IntN(3) > 0 {
				w.kill()
			}
		})
	}
	w.mu.Lock()
	w.healthy = true
	w.mu.Unlock()
	w.runInstance(t, w.files(true), func() { time.Sleep(15 * time.Minute) })
	w.check(t)
}

// runInstance runs an instance until do returns.
func (w *simulation) runInstance(t *testing.T, files string, do func()) {
	records := openRecords(t, w.disk, "/state")
	journal, err := OpenJournal(records)
	if err != nil {
		t.Fatal(err)
	}
	w.disk.Set(nil, time.Duration(w.random.IntN(4))*100*time.Millisecond) // two writes within LedgerTimeout
	ledger, retained := delivery.OpenLedger(records, discardLog)
	b := newBench(t, journal, delivery.Options{Persister: ledger, MaxBackoff: 20 * time.Second, Stop: 2 * time.Second})
	b.kinds["fallible"] = func(decode func(any) error, _ action.Env) (action.Action, error) {
		a := &flakyAction{simulation: w}
		return a, decode(a)
	}
	b.mustApply(t, files)
	b.setProbe(w.probe)
	resumeLedger(b.Group, b.Deliverer, retained)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- ledger.Run(ctx, b.ledgerState) }()
	do()
	b.stop()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the ledger: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.killed = false
}

// kill freezes the disk and ignores what the instance still does.
func (w *simulation) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disk = w.disk.Killed()
	w.killed = true
}

// toggle makes a target fail or recover.
func (w *simulation) toggle(target string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing[target] = !w.failing[target]
}

func (w *simulation) probe(_ context.Context, target string) (probe.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failing[target] && !w.healthy {
		return probe.Result{}, errDown
	}
	return probe.Result{}, nil
}

// files returns three receivers and five monitors. Unless all is true, some monitors
// and some of their receivers are missing.
func (w *simulation) files(all bool) string {
	var text strings.Builder
	for r := range 3 {
		fmt.Fprintf(&text, "[[receiver]]\nname = \"r%d\"\ntype = \"fallible\"\nname_of_it = \"r%d\"\ngroup = %v\n", r, r, r > 0)
	}
	for m := range 5 {
		if !all && w.random.IntN(4) == 0 {
			continue
		}
		var receivers []string
		for r := range 3 {
			if all || w.random.IntN(4) > 0 {
				receivers = append(receivers, fmt.Sprint("r", r))
			}
		}
		one := monitorFor(fmt.Sprint("m", m), receivers...)
		if w.random.IntN(2) == 0 {
			one = strings.Replace(one, "interval = 10", "interval = 10\nrepeat = 20", 1)
		}
		text.WriteString(one)
	}
	return text.String()
}

// check checks what the receivers have received.
func (w *simulation) check(t *testing.T) {
	for _, fault := range w.errors {
		t.Error(fault)
	}
	for receiver, keys := range w.received {
		open := map[string]bool{} // incidents whose failure was received
		for _, key := range keys {
			incident, event, _ := strings.Cut(key, "-")
			if event == "recover" && !open[incident] {
				t.Errorf("%s received the recovery of %s before its failure: %q", receiver, incident, keys)
			}
			open[incident] = true
		}
		for key := range w.acknowledged[receiver] {
			incident, event, _ := strings.Cut(key, "-")
			if event == "fail" && !slices.Contains(keys, incident+"-recover") {
				t.Errorf("%s received no recovery of %s: %q", receiver, incident, keys)
			}
		}
	}
}

// flakyAction may be refused, hang, or lose its response.
type flakyAction struct {
	simulation *simulation
	Name       string `toml:"name_of_it"`
	Group      bool   `toml:"group"`
}

func (a *flakyAction) Groups() bool { return a.Group }

var errNotDelivered = errors.New("not taken")

func (a *flakyAction) Notify(ctx context.Context, ns []action.Notification) error {
	const (
		unreachable = iota + 1
		refused
		unanswered
		slow
		kinds
	)
	kind := a.outcome(kinds)
	switch kind {
	case unreachable:
		return &action.Unreachable{Err: errNotDelivered}
	case refused:
		return errors.Join(sleep(ctx, 3*time.Second), errNotDelivered)
	}
	keys := keysOf(ns)
	a.unlessKilled(func() { a.receive(keys) })
	if kind == unanswered || kind == slow {
		if err := sleep(ctx, 2*time.Second); err != nil || kind == unanswered {
			return errors.Join(err, errNotDelivered)
		}
	}
	a.unlessKilled(func() { a.acknowledge(keys) })
	return nil
}

// outcome returns a random kind of failure, or 0 for none.
func (a *flakyAction) outcome(kinds int) int {
	w := a.simulation
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.healthy {
		return 0
	}
	return w.receiverRandom.IntN(kinds)
}

// keysOf returns the keys of all notifications except Init, which may vary.
func keysOf(ns []action.Notification) []string {
	var keys []string
	for _, n := range ns {
		if n.Event != action.Init {
			keys = append(keys, n.Key())
		}
	}
	slices.Sort(keys)
	return keys
}

// receive is called with the lock held, unless the instance was killed.
func (a *flakyAction) receive(keys []string) {
	w := a.simulation
	// A failure counts before its recovery in the same message.
	ordered := slices.Clone(keys)
	slices.SortStableFunc(ordered, func(x, y string) int { return strings.Count(x, "-recover") - strings.Count(y, "-recover") })
	w.received[a.Name] = append(w.received[a.Name], ordered...)
	if !a.Group {
		return
	}
	all := strings.Join(keys, " ")
	for _, key := range keys {
		id := a.Name + " " + key
		if before, ok := w.groups[id]; ok && before != all {
			w.errors = append(w.errors, fmt.Sprintf("%s came in a group of %q and in one of %q", id, before, all))
		}
		w.groups[id] = all
	}
}

// acknowledge is called with the lock held, unless the instance was killed.
func (a *flakyAction) acknowledge(keys []string) {
	w := a.simulation
	if w.acknowledged[a.Name] == nil {
		w.acknowledged[a.Name] = map[string]bool{}
	}
	for _, key := range keys {
		w.acknowledged[a.Name][key] = true
	}
}

// unlessKilled runs f with the lock held.
func (a *flakyAction) unlessKilled(f func()) {
	w := a.simulation
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.killed {
		f()
	}
}

// sleep waits, or returns the error of the context if it ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
