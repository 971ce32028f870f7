package monitor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
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

// TestEveryFailureHasItsEndThroughManyLives runs monitors whose targets
// fail and recover at random, whose files change, and whose receivers refuse, hang
// or lose their answers, through several lives of the program: some end in order,
// some by a kill. In the end all is well, and each receiver must have heard of each
// recovery after its failure, of no failure without its end, and of each group in
// one composition.
// Faults: T45, T47, T49, I6.
func TestEveryFailureHasItsEndThroughManyLives(t *testing.T) {
	seeds, first := uint64(25), rand.Uint64N(1<<32)
	if os.Getenv("MONITOR_LONG") != "" {
		seeds = 1000
	}
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newLives(seed).run(t) })
		})
	}
}

// lives is the world that outlives the program.
type lives struct {
	rng  *rand.Rand // of the test's own goroutine
	disk *testkit.MemDisk

	mu     sync.Mutex // guards all that follows
	luck   *rand.Rand // of the receivers
	calm   bool       // nothing fails any more
	killed bool       // what the program still does is not seen
	failed map[string]bool
	heard  map[string][]string        // by receiver, keys of notices in their order
	taken  map[string]map[string]bool // of these, those that were answered
	groups map[string]string          // by receiver and key, all keys of its message
	faults []string
}

func newLives(seed uint64) *lives {
	return &lives{
		rng: rand.New(rand.NewPCG(seed, 1)), luck: rand.New(rand.NewPCG(seed, 2)), disk: testkit.NewMemDisk(),
		failed: map[string]bool{}, heard: map[string][]string{}, taken: map[string]map[string]bool{}, groups: map[string]string{},
	}
}

func (w *lives) run(t *testing.T) {
	for range 2 + w.rng.IntN(5) {
		w.live(t, w.files(false), func() {
			for range 1 + w.rng.IntN(20) {
				w.flip(fmt.Sprint("m", w.rng.IntN(5)))
				time.Sleep(time.Duration(w.rng.IntN(15000)) * time.Millisecond)
			}
			if w.rng.IntN(3) > 0 {
				w.kill()
			}
		})
	}
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	w.live(t, w.files(true), func() { time.Sleep(15 * time.Minute) })
	w.judge(t)
}

// live is one life of the program: from its start until do returns.
func (w *lives) live(t *testing.T, files string, do func()) {
	journal, err := openJournalOn(w.disk, "/state")
	if err != nil {
		t.Fatal(err)
	}
	w.disk.Set(nil, time.Duration(w.rng.IntN(4))*100*time.Millisecond) // two writes within the patience of a notice
	ledger, kept := delivery.OpenLedgerOn(w.disk, "/state", quiet)
	b, stop := newBenchOf(t, journal, delivery.Options{Persister: ledger, MaxBackoff: 20 * time.Second, Stop: 2 * time.Second})
	b.kinds["fallible"] = func(decode func(any) error, _ action.Env) (action.Action, error) {
		a := &fallible{lives: w}
		return a, decode(a)
	}
	if problems := b.apply(t, "a.toml", files); len(problems) > 0 {
		t.Fatal(problems[0])
	}
	b.answer(w.probe)
	resume(b.Group, b.Deliverer, kept)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- ledger.Run(ctx, b.Kept) }()
	do()
	stop()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the ledger: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.killed = false
}

// kill leaves the disk as it is at this moment, and lets nothing be seen of what
// the program does until it has stopped.
func (w *lives) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disk = w.disk.Killed()
	w.killed = true
}

// flip makes a target fail, or well again.
func (w *lives) flip(target string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed[target] = !w.failed[target]
}

func (w *lives) probe(_ context.Context, target string) (probe.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed[target] && !w.calm {
		return probe.Result{}, errDown
	}
	return probe.Result{}, nil
}

// files returns a file of three receivers and five monitors; without all, some
// monitors and some of their receivers are missing.
func (w *lives) files(all bool) string {
	var text strings.Builder
	for r := range 3 {
		fmt.Fprintf(&text, "[[receiver]]\nname = \"r%d\"\ntype = \"fallible\"\nname_of_it = \"r%d\"\ngroup = %v\n", r, r, r > 0)
	}
	for m := range 5 {
		if !all && w.rng.IntN(4) == 0 {
			continue
		}
		var receivers []string
		for r := range 3 {
			if all || w.rng.IntN(4) > 0 {
				receivers = append(receivers, fmt.Sprint("r", r))
			}
		}
		one := watched(fmt.Sprint("m", m), receivers...)
		if w.rng.IntN(2) == 0 {
			one = strings.Replace(one, "interval = 10", "interval = 10\nrepeat = 20", 1)
		}
		text.WriteString(one)
	}
	return text.String()
}

// judge looks back at what was heard.
func (w *lives) judge(t *testing.T) {
	for _, fault := range w.faults {
		t.Error(fault)
	}
	for receiver, keys := range w.heard {
		open := map[string]bool{} // incidents whose failure was heard
		for _, key := range keys {
			incident, event, _ := strings.Cut(key, "-")
			if event == "recover" && !open[incident] {
				t.Errorf("%s heard the end of %s before its failure: %q", receiver, incident, keys)
			}
			open[incident] = true
		}
		for key := range w.taken[receiver] {
			incident, event, _ := strings.Cut(key, "-")
			if event == "fail" && !slices.Contains(keys, incident+"-recover") {
				t.Errorf("%s heard no end of %s: %q", receiver, incident, keys)
			}
		}
	}
}

// fallible is an action that may be refused, hang, or lose its answer.
type fallible struct {
	lives *lives
	Name  string `toml:"name_of_it"`
	Group bool   `toml:"group"`
}

func (a *fallible) Groups() bool { return a.Group }

var errNotTaken = errors.New("not taken")

func (a *fallible) Notify(ctx context.Context, ns []action.Notification) error {
	const (
		unreachable = iota + 1
		refused
		unanswered
		slow
		kinds
	)
	kind := a.fate(kinds)
	switch kind {
	case unreachable:
		return &action.Unreachable{Err: errNotTaken}
	case refused:
		return errors.Join(nap(ctx, 3*time.Second), errNotTaken)
	}
	keys := keysOf(ns)
	a.hear(keys)
	if kind == unanswered || kind == slow {
		if err := nap(ctx, 2*time.Second); err != nil || kind == unanswered {
			return errors.Join(err, errNotTaken)
		}
	}
	a.take(keys)
	return nil
}

// fate draws one of the kinds of trouble, or 0 for none.
func (a *fallible) fate(kinds int) int {
	w := a.lives
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calm {
		return 0
	}
	return w.luck.IntN(kinds)
}

// keysOf returns the keys of all notices but starts, which may come and go.
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

func (a *fallible) hear(keys []string) {
	w := a.lives
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.killed {
		return
	}
	// A failure stands before its end, also where one message tells both.
	ordered := slices.Clone(keys)
	slices.SortStableFunc(ordered, func(x, y string) int { return strings.Count(x, "-recover") - strings.Count(y, "-recover") })
	w.heard[a.Name] = append(w.heard[a.Name], ordered...)
	if !a.Group {
		return
	}
	all := strings.Join(keys, " ")
	for _, key := range keys {
		id := a.Name + " " + key
		if before, ok := w.groups[id]; ok && before != all {
			w.faults = append(w.faults, fmt.Sprintf("%s came in a group of %q and in one of %q", id, before, all))
		}
		w.groups[id] = all
	}
}

func (a *fallible) take(keys []string) {
	w := a.lives
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.killed {
		return
	}
	if w.taken[a.Name] == nil {
		w.taken[a.Name] = map[string]bool{}
	}
	for _, key := range keys {
		w.taken[a.Name][key] = true
	}
}

// nap waits, or returns the error of a context that ends before.
func nap(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
