package monitor

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

// Limits of registering at run time, those of the threat model.
const (
	DefaultMaxRegistered = 1000
	DefaultMaxOwned      = 200
	DefaultMaxPerSecond  = 10
)

// Config of a Group. Probes, Delivery and Recorder are required.
type Config struct {
	Probes   map[string]probe.Kind
	ProbeEnv probe.Env
	// Delivery passes changes on to receivers, which the Group adds and removes.
	Delivery Delivery
	Recorder Recorder
	// Journal keeps registered monitors over a restart; nil forgets them.
	Journal *Journal
	// Caps bound how many probes of a kind run at once, unless they are zero; 16
	// for exec if nil.
	Caps map[string]int
	// MaxRegistered bounds the monitors of Register; DefaultMaxRegistered if zero.
	MaxRegistered int
	// MaxOwned bounds those of one Owner; DefaultMaxOwned if zero.
	MaxOwned int
	// MaxPerSecond bounds how many Register takes within a second;
	// DefaultMaxPerSecond if zero.
	MaxPerSecond int
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
	workers   *workers
	count     counts

	// changes is held while the set of monitors is changed, also while kinds read
	// files; mu is held for moments only, and taken after changes.
	configMu  sync.Mutex
	receivers *receivers // guarded by changes
	// dormant are the monitors of the journal that are not restored.
	unrestored  []journalEntry // guarded by changes
	lastID      int64          // guarded by changes
	journaledID int64          // guarded by changes; the last id in the journal
	closed      bool           // guarded by changes
	// secrets are the files that the change under way has read, secretFiles those
	// of all changes before.
	readFiles, watchedFiles fingerprints // guarded by changes
	registerRate            rateLimiter  // guarded by changes

	// telling is held, for reading, while a change of a monitor is judged and
	// handed to its receivers; taken before all other locks but changes.
	verdictMu sync.RWMutex

	mu     sync.Mutex
	byID   map[int64]*runner   // guarded by mu
	byName map[string]*runner  // guarded by mu
	absent map[string]Incident // guarded by mu; of Resume, by monitor
}

// NewGroup returns a Group without monitors.
func NewGroup(cfg Config) *Group {
	if cfg.Caps == nil {
		cfg.Caps = map[string]int{kindExec: defaultExecCap}
	}
	if cfg.MaxRegistered <= 0 {
		cfg.MaxRegistered = DefaultMaxRegistered
	}
	if cfg.MaxOwned <= 0 {
		cfg.MaxOwned = DefaultMaxOwned
	}
	if cfg.MaxPerSecond <= 0 {
		cfg.MaxPerSecond = DefaultMaxPerSecond
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	g := &Group{
		cfg: cfg, log: cfg.Log, recorder: cfg.Recorder,
		scheduler: newScheduler(),
		workers:   newWorkers(),
		slots:     make(map[string]chan struct{}),
		receivers: newReceivers(cfg),
		byID:      make(map[int64]*runner),
		byName:    make(map[string]*runner),
		absent:    make(map[string]Incident),
	}
	g.count.lateness.since = time.Now()
	for kind, n := range cfg.Caps {
		if n > 0 {
			g.slots[kind] = make(chan struct{}, n)
		}
	}
	if j := cfg.Journal; j != nil {
		g.unrestored, g.lastID, g.journaledID = j.loaded.Monitors, j.loaded.LastID, j.loaded.LastID
	}
	return g
}

// Run probes until ctx ends, and returns when the last probe has ended and given
// back what it held.
func (g *Group) Run(ctx context.Context) error {
	err := g.scheduler.Run(ctx)
	g.configMu.Lock()
	for _, r := range g.sorted() {
		r.stop()
	}
	g.closed = true
	g.configMu.Unlock()
	g.probing.Wait()
	g.workers.end()
	return err
}

// acquire waits for a place among the probes of a kind. It fails if the monitor
// is stopped meanwhile.
func (g *Group) acquire(kind string, stopped <-chan struct{}) (release func(), ok bool) {
	slot, bound := g.slots[kind]
	if !bound {
		return func() {}, true
	}
	select {
	case slot <- struct{}{}:
		return func() { <-slot }, true
	case <-stopped:
		return nil, false
	}
}

func (g *Group) nextID() int64 {
	g.lastID++
	return g.lastID
}

// enter lists a monitor.
func (g *Group) add(r *runner) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.byID[r.id], g.byName[r.def.Name] = r, r
	g.resumeAbsent(r)
}

func (g *Group) newRunner(d *Definition, id int64) *runner {
	r := &runner{id: id, def: d.compact(), group: g, judge: judge{thresholds: d.Thresholds}, busy: new(atomic.Bool)}
	r.job = newJob(d.Name, d.Interval, r.tick)
	return r
}

// run starts a monitor unless the Group has ended. g.changes is held.
func (g *Group) run(r *runner, p *pipeline) {
	if g.closed {
		g.discard(r.def, p)
		return
	}
	r.start(p)
}

// remove ends a monitor for good. g.changes is held.
func (g *Group) remove(r *runner) {
	r.stop()
	g.logRemoved(r)
	g.mu.Lock()
	delete(g.byID, r.id)
	delete(g.byName, r.def.Name)
	g.mu.Unlock()
	for _, t := range r.detachReceivers() {
		t.Forget(r.def.Name)
	}
	g.receivers.release(r.currentReceivers())
	g.recorder.Record(Result{Name: r.def.Name, State: Stopped, At: time.Now()})
}

func (g *Group) lookup(name string) *runner {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.byName[name]
}

// sorted returns all runners by id.
func (g *Group) sorted() []*runner {
	g.mu.Lock()
	all := slices.Collect(maps.Values(g.byID))
	g.mu.Unlock()
	slices.SortFunc(all, func(a, b *runner) int { return cmp.Compare(a.id, b.id) })
	return all
}
