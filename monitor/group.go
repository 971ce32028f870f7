package monitor

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/microhq/monitor-srv/clock"
	"github.com/microhq/monitor-srv/loglimit"
	"github.com/microhq/monitor-srv/probe"
)

// Default limits of registration at run time.
const (
	DefaultMaxRegistered = 1000
	DefaultMaxOwned      = 200
	DefaultMaxPerSecond  = 10
)

// Config of a Group. Probes, Delivery and Recorder are required.
type Config struct {
	Probes   map[string]probe.Kind
	ProbeEnv probe.Env
	// Delivery delivers changes to receivers, which the Group adds and removes.
	Delivery Delivery
	Recorder Recorder
	// Journal persists registered monitors; with nil they are lost at a restart.
	Journal *Journal
	// Caps limit the concurrent probes of a kind; 0 is no limit. The default is 16
	// for exec.
	Caps map[string]int
	// MaxRegistered limits the registered monitors. The default is
	// DefaultMaxRegistered.
	MaxRegistered int
	// MaxOwned limits the registered monitors of one Owner. The default is
	// DefaultMaxOwned.
	MaxOwned int
	// MaxPerSecond limits the registrations per second. The default is
	// DefaultMaxPerSecond.
	MaxPerSecond int
	// Log defaults to slog.Default().
	Log *slog.Logger
}

// defaultExecCap limits the commands that exec probes run at once.
const defaultExecCap = 16

// Group runs monitors: those that Apply takes from files, and those that are
// registered at run time. Its methods may be called concurrently.
type Group struct {
	cfg        Config
	log        *slog.Logger
	recorder   Recorder
	clock      *clock.Clock
	scheduler  *scheduler
	standstill *standstill
	slots      map[string]chan struct{} // by kind of probe
	probing    sync.WaitGroup
	workers    *workers
	count      counts
	changeLog  loglimit.Limiter

	// configMu serializes changes of the set of monitors. It may be held while kinds
	// read files. The order of locks is configMu, verdictMu, mu, runner.mu.
	configMu  sync.Mutex
	receivers *receivers // guarded by configMu
	// unrestored are the journal's monitors that Restore has not started.
	unrestored  []journalEntry // replaced under configMu and mu, read under either
	lastID      int64          // guarded by configMu
	journaledID int64          // guarded by configMu; the last id in the journal
	closed      bool           // guarded by configMu
	// former are monitors of files that no file defines at present, by name.
	former map[string]fileEntry // guarded by configMu
	// stayed are the monitors that the current change has left stopped.
	stayed []string // guarded by configMu
	// readFiles are the files that the current change has read, watchedFiles those
	// of all changes before.
	readFiles, watchedFiles fingerprints // guarded by configMu
	registerRate            rateLimiter  // guarded by configMu
	warned                  []error      // guarded by configMu; see takeWarnings

	// verdictMu is read-locked from the verdict on a result until its change is
	// enqueued at the receivers. Incidents locks it for writing.
	verdictMu sync.RWMutex

	mu     sync.Mutex
	byID   map[int64]*runner         // guarded by mu
	byName map[string]*runner        // guarded by mu
	absent map[string]absentIncident // guarded by mu; by monitor, see Resume
	// recalled are the records of a snapshot whose monitors were not added yet, by name.
	recalled map[string]*record // guarded by mu
	// down is for how long no process ran before this one.
	down time.Duration // guarded by mu
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
	c := clock.New()
	g := &Group{
		cfg: cfg, log: cfg.Log, recorder: cfg.Recorder,
		clock:     c,
		scheduler: newScheduler(c), standstill: newStandstill(c, cfg.Log),
		changeLog: loglimit.Limiter{Every: time.Minute, Burst: maxChangeLines},
		workers:   newWorkers(),
		slots:     make(map[string]chan struct{}),
		receivers: newReceivers(cfg),
		byID:      make(map[int64]*runner),
		byName:    make(map[string]*runner),
		former:    make(map[string]fileEntry),
		absent:    make(map[string]absentIncident),
		recalled:  make(map[string]*record),
	}
	g.count.lateness.init(c.Now())
	for kind, n := range cfg.Caps {
		if n > 0 {
			g.slots[kind] = make(chan struct{}, n)
		}
	}
	if j := cfg.Journal; j != nil {
		g.unrestored, g.lastID = j.loaded.Monitors, j.loaded.LastID
		for _, e := range g.unrestored {
			g.lastID = max(g.lastID, e.ID)
		}
		for _, e := range j.loaded.Files {
			g.former[e.Name] = e
			g.lastID = max(g.lastID, e.ID)
		}
		g.journaledID = g.lastID
	}
	return g
}

// Run probes until ctx ends. It returns when all probes have ended and are closed.
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

// acquire waits for a slot of the kind. It fails if the monitor is stopped
// meanwhile.
func (g *Group) acquire(kind string, stopped <-chan struct{}) (release func(), ok bool) {
	slot, limited := g.slots[kind]
	if !limited {
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

// add lists a monitor, and resumes what it was before a restart.
func (g *Group) add(r *runner) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.byID[r.id], g.byName[r.def.Name] = r, r
	g.recall(r)
	g.resumeAbsent(r)
}

func (g *Group) newRunner(d *Definition, id int64) *runner {
	r := &runner{id: id, def: d.compact(), group: g, judge: judge{thresholds: d.Thresholds}, busy: new(atomic.Bool)}
	r.job = g.scheduler.newJob(d.Interval, r.tick)
	return r
}

// run starts a monitor unless the Group has ended or the monitor was stopped.
// g.configMu is held.
func (g *Group) run(r *runner, p *pipeline) {
	if g.closed {
		g.discard(r.def, p)
		return
	}
	if !r.stoppedTime().IsZero() {
		r.stayStopped(p)
		return
	}
	r.start(p)
}

// remove stops a monitor and deletes it. g.configMu is held.
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
