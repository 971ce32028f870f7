package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/probe"
)

var (
	// ErrNotFound says that no monitor has the id.
	ErrNotFound = errors.New("not found")
	// ErrExists says that the name is used by another monitor.
	ErrExists = errors.New("the name is used already")
	// ErrFull says that no more monitors may be registered at run time.
	ErrFull = errors.New("too many monitors are registered")
	// ErrJournal says that a change could not be written down.
	ErrJournal = errors.New("the state directory cannot be written")
)

// DefaultMaxRegistered bounds the monitors registered at run time.
const DefaultMaxRegistered = 1000

// Config of a Group. Probes, Actions, Deliverer and Recorder are required.
type Config struct {
	Probes    map[string]probe.Kind
	ProbeEnv  probe.Env
	Actions   map[string]action.Kind
	ActionEnv action.Env
	// Deliverer passes notices on; the Group adds receivers to it and takes them
	// away, and somebody else runs it.
	Deliverer *action.Deliverer
	Recorder  Recorder
	// Journal keeps registered monitors over a restart; nil forgets them.
	Journal *Journal
	// Caps bound how many probes of a kind run at once; 16 for exec if nil.
	Caps map[string]int
	// MaxRegistered bounds the monitors of Register; DefaultMaxRegistered if zero.
	MaxRegistered int
	// Host and Version are told in notices.
	Host, Version string
	// Log is slog.Default() if nil.
	Log *slog.Logger
}

// defaultExecCap bounds the commands that probes run at once.
const defaultExecCap = 16

// Group runs monitors: those of files, which Apply brings to what the files say,
// and those registered at run time. Its methods may be called at any time.
type Group struct {
	cfg       Config
	log       *slog.Logger
	recorder  Recorder
	scheduler *scheduler
	slots     map[string]chan struct{} // by kind of probe
	probing   sync.WaitGroup

	// changes is held while the set of monitors is changed, also while kinds read
	// files; mu is held for moments only, and taken after changes.
	changes   sync.Mutex
	receivers map[string]*action.Receiver // guarded by changes
	defined   map[string]*Receiver        // guarded by changes

	mu     sync.Mutex
	byID   map[int64]*runner  // guarded by mu
	byName map[string]*runner // guarded by mu
	lastID int64              // guarded by mu
	closed bool               // guarded by mu
}

// NewGroup returns a Group without monitors.
func NewGroup(cfg Config) *Group {
	if cfg.Caps == nil {
		cfg.Caps = map[string]int{kindExec: defaultExecCap}
	}
	if cfg.MaxRegistered <= 0 {
		cfg.MaxRegistered = DefaultMaxRegistered
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	g := &Group{
		cfg: cfg, log: cfg.Log, recorder: cfg.Recorder,
		scheduler: newScheduler(),
		slots:     make(map[string]chan struct{}),
		receivers: make(map[string]*action.Receiver),
		defined:   make(map[string]*Receiver),
		byID:      make(map[int64]*runner),
		byName:    make(map[string]*runner),
	}
	for kind, n := range cfg.Caps {
		g.slots[kind] = make(chan struct{}, n)
	}
	return g
}

// Run probes until ctx ends, and returns when the last probe has ended and given
// back what it held.
func (g *Group) Run(ctx context.Context) error {
	err := g.scheduler.Run(ctx)
	g.mu.Lock()
	g.closed = true
	all := g.sortedLocked()
	g.mu.Unlock()
	for _, r := range all {
		r.stop()
	}
	g.probing.Wait()
	return err
}

// acquire waits for a place among the probes of a kind.
func (g *Group) acquire(ctx context.Context, kind string) (release func(), err error) {
	slot, ok := g.slots[kind]
	if !ok {
		return func() {}, nil
	}
	select {
	case slot <- struct{}{}:
		return func() { <-slot }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Apply brings the monitors of files to what set says. problems are those that
// came with set: the monitors of a file with a problem stay as they are unless
// set defines them anew. Monitors that did not change keep their state and miss
// no probe. It returns what kinds found wrong.
func (g *Group) Apply(set Set, problems []*Problem) []*Problem {
	g.changes.Lock()
	defer g.changes.Unlock()
	found := g.applyReceivers(set.Receivers)
	wanted := make(map[string]bool, len(set.Monitors))
	for _, d := range set.Monitors {
		wanted[d.Name] = true
		if err := g.put(d); err != nil {
			found = append(found, placed(d.file, d.Name, err)...)
		}
	}
	for _, d := range set.broken {
		p, err := g.check(d)
		g.closeProbe(d.Name, p)
		if err != nil {
			found = append(found, placed(d.file, d.Name, err)...)
		}
	}
	broken := make(map[string]bool)
	for _, p := range problems {
		if !p.Warning {
			broken[p.File] = true
		}
	}
	for _, r := range g.sorted() {
		if r.def.Origin != OriginAPI && !wanted[r.def.Name] && !broken[r.def.file] {
			g.remove(r)
		}
	}
	g.dropReceivers(set.Receivers, broken)
	return found
}

// applyReceivers builds the receivers of files, or gives those that are there
// their new action.
func (g *Group) applyReceivers(defined []*Receiver) []*Problem {
	var found []*Problem
	for _, d := range defined {
		if old := g.defined[d.Name]; old != nil && reflect.DeepEqual(old.action.tree, d.action.tree) && old.action.kind == d.action.kind {
			continue
		}
		a, err := g.newAction(d.action)
		if err != nil {
			found = append(found, placed(d.file, "", fmt.Errorf("receiver %q: %w", d.Name, err))...)
			continue
		}
		g.receivers[d.Name] = g.cfg.Deliverer.Add(d.Name, a)
		g.defined[d.Name] = d
	}
	return found
}

// dropReceivers takes away the receivers that no file defines any more.
func (g *Group) dropReceivers(defined []*Receiver, broken map[string]bool) {
	for name, old := range g.defined {
		gone := !slices.ContainsFunc(defined, func(d *Receiver) bool { return d.Name == name })
		if gone && !broken[old.file] {
			g.dropReceiver(name)
			delete(g.receivers, name)
			delete(g.defined, name)
		}
	}
}

func (g *Group) dropReceiver(name string) {
	if untold := g.cfg.Deliverer.Remove(name); len(untold) > 0 {
		g.log.Warn("a receiver is gone with notices untold", "receiver", name, "notices", len(untold))
	}
}

// put starts the monitor of a definition, or replaces the one of its name unless
// nothing changed. g.changes is held.
func (g *Group) put(d *Definition) error {
	old := g.named(d.Name)
	if old != nil && old.def.Origin == OriginAPI {
		return fmt.Errorf("%w, by a monitor registered at run time", ErrExists)
	}
	if old != nil && old.def.file == d.file && reflect.DeepEqual(old.def.tree, d.tree) {
		return nil
	}
	p, err := g.build(d)
	if err != nil {
		return err
	}
	r := g.newRunner(d, 0)
	if old != nil {
		old.stop()
		r.inherit(old)
		g.forgetTargets(old, p)
	}
	g.mu.Lock()
	if old == nil {
		g.lastID++
		r.id = g.lastID
	}
	g.byID[r.id], g.byName[d.Name] = r, r
	g.mu.Unlock()
	g.run(r, p)
	return nil
}

func (g *Group) newRunner(d *Definition, id int64) *runner {
	r := &runner{id: id, def: d, group: g, judge: judge{t: d.Thresholds}}
	r.job = newJob(d.Name, d.Interval, r.begin)
	return r
}

// run starts a monitor unless the Group has ended.
func (g *Group) run(r *runner, p *parts) {
	g.mu.Lock()
	closed := g.closed
	g.mu.Unlock()
	if closed {
		g.closeProbe(r.def.Name, p)
		return
	}
	r.start(p)
}

// remove ends a monitor for good. g.changes is held.
func (g *Group) remove(r *runner) {
	r.stop()
	g.mu.Lock()
	delete(g.byID, r.id)
	delete(g.byName, r.def.Name)
	g.mu.Unlock()
	g.forgetTargets(r, nil)
	g.recorder.Record(Result{Name: r.def.Name, State: Stopped, At: time.Now()})
}

// forgetTargets takes away the receivers of a monitor's own that next does not
// use, and lets the others forget the monitor if there is no next.
func (g *Group) forgetTargets(r *runner, next *parts) {
	for _, t := range r.targets() {
		switch {
		case next != nil && slices.Contains(next.targets, t):
		case g.receivers[t.Name()] == t:
			t.Forget(r.def.Name)
		default:
			g.dropReceiver(t.Name())
		}
	}
}

func (g *Group) named(name string) *runner {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.byName[name]
}

func (g *Group) sorted() []*runner {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sortedLocked()
}

// sortedLocked returns all runners by id. g.mu is held.
func (g *Group) sortedLocked() []*runner {
	all := make([]*runner, 0, len(g.byID))
	for _, r := range g.byID {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *runner) int { return int(a.id - b.id) })
	return all
}

// placed gives the errors of a definition their file and line.
func placed(file, monitor string, err error) []*Problem {
	problems := problemsOf(file, monitor, err)
	for _, p := range problems {
		var at *placedError
		if errors.As(p.Err, &at) {
			p.Line = at.line
		}
	}
	return problems
}
