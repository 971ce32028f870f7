package monitor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// Register starts the monitor of a definition made by ParseOne and returns its
// id. It is in the journal, if there is one, before Register returns. It fails
// with ErrExists, ErrFull, ErrJournal or what is wrong with the definition.
func (g *Group) Register(d *Definition) (int64, error) {
	g.changes.Lock()
	defer g.changes.Unlock()
	if g.named(d.Name) != nil {
		return 0, fmt.Errorf("registering monitor %q: %w", d.Name, ErrExists)
	}
	if n := len(g.registered()); n >= g.cfg.MaxRegistered {
		return 0, fmt.Errorf("registering monitor %q: %w: %d", d.Name, ErrFull, n)
	}
	p, err := g.build(d)
	if err != nil {
		return 0, fmt.Errorf("registering monitor %q: %w", d.Name, err)
	}
	g.mu.Lock()
	g.lastID++
	r := g.newRunner(d, g.lastID)
	g.byID[r.id], g.byName[d.Name] = r, r
	g.mu.Unlock()
	if err := g.journal(); err != nil {
		g.remove(r)
		g.closeProbe(d.Name, p)
		return 0, fmt.Errorf("registering monitor %q: %w", d.Name, err)
	}
	g.run(r, p)
	return r.id, nil
}

// Unregister ends a monitor for good. One of a file comes back when the files
// are read again. It does not wait for a probe that runs. With ErrJournal the
// monitor has ended, but would come back after a restart.
func (g *Group) Unregister(id int64) error {
	g.changes.Lock()
	defer g.changes.Unlock()
	r, err := g.find(id)
	if err != nil {
		return err
	}
	g.remove(r)
	if err := g.journal(); err != nil {
		return fmt.Errorf("unregistering monitor %q: %w", r.def.Name, err)
	}
	return nil
}

// registered returns the monitors that were registered at run time, by id.
func (g *Group) registered() []*runner {
	return slices.DeleteFunc(g.sorted(), func(r *runner) bool { return r.def.Origin != OriginAPI })
}

// journal writes the registered monitors down. g.changes is held.
func (g *Group) journal() error {
	if g.cfg.Journal == nil {
		return nil
	}
	var state journalState
	for _, r := range g.registered() {
		state.Monitors = append(state.Monitors, Saved{ID: r.id, Text: r.def.text, Trusted: r.def.Trusted})
	}
	g.mu.Lock()
	state.LastID = g.lastID
	g.mu.Unlock()
	if err := g.cfg.Journal.save(state); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	return nil
}

// Restore registers what the journal holds, under the ids it had. allow says
// whether a definition may run still; one that may not, or is wrong by now, is
// left out and told. It is to be called once, before any Register.
func (g *Group) Restore(allow func(*Definition) error) []error {
	if g.cfg.Journal == nil {
		return nil
	}
	g.changes.Lock()
	defer g.changes.Unlock()
	state, err := g.cfg.Journal.load()
	if err != nil {
		return []error{err}
	}
	var errs []error
	for _, saved := range state.Monitors {
		if err := g.restore(saved, allow); err != nil {
			errs = append(errs, fmt.Errorf("restoring monitor %d: %w", saved.ID, err))
		}
	}
	g.mu.Lock()
	g.lastID = max(g.lastID, state.LastID)
	g.mu.Unlock()
	return errs
}

func (g *Group) restore(saved Saved, allow func(*Definition) error) error {
	d, err := ParseOne(saved.Text)
	if err != nil {
		return err
	}
	d.Trusted = saved.Trusted
	if err := allow(d); err != nil {
		return err
	}
	if g.named(d.Name) != nil {
		return fmt.Errorf("%q: %w", d.Name, ErrExists)
	}
	p, err := g.build(d)
	if err != nil {
		return err
	}
	r := g.newRunner(d, saved.ID)
	g.mu.Lock()
	g.byID[r.id], g.byName[d.Name] = r, r
	g.mu.Unlock()
	g.run(r, p)
	return nil
}

// Start starts a monitor that was stopped. It goes on with the state it had, so
// that the recovery of a failure told before is told too.
func (g *Group) Start(id int64) error {
	g.changes.Lock()
	defer g.changes.Unlock()
	r, err := g.find(id)
	if err != nil {
		return err
	}
	if r.running() {
		return nil
	}
	p, err := g.build(r.def)
	if err != nil {
		return fmt.Errorf("starting monitor %q: %w", r.def.Name, err)
	}
	r.start(p)
	return nil
}

// Stop stops a monitor. It does not wait for a probe that runs, whose result is
// dropped.
func (g *Group) Stop(id int64) error {
	g.changes.Lock()
	defer g.changes.Unlock()
	r, err := g.find(id)
	if err != nil {
		return err
	}
	r.stop()
	g.recorder.Record(Result{Name: r.def.Name, State: Stopped, At: time.Now()})
	return nil
}

func (g *Group) find(id int64) (*runner, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, ok := g.byID[id]
	if !ok {
		return nil, fmt.Errorf("monitor %d: %w", id, ErrNotFound)
	}
	return r, nil
}

// start begins to probe with the parts, and tells that the monitor starts.
func (r *runner) start(p *parts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts = p
	r.last = p.targets
	r.origin = time.Time{}
	r.ctx, r.end = context.WithCancel(context.Background())
	n := action.Notice{
		Monitor: r.def.Name, Host: r.group.cfg.Host, Version: r.group.cfg.Version,
		Event: action.Init, Time: time.Now(), Labels: r.def.Labels,
	}
	for _, t := range p.targets {
		t.Enqueue(n)
	}
	r.group.scheduler.first(r.job)
}

// stop ends probing. The probe is closed at once, or by the run that uses it.
func (r *runner) stop() {
	r.mu.Lock()
	p := r.parts
	inUse := r.inUse
	if p != nil {
		r.end()
		r.parts = nil
		r.group.scheduler.remove(r.job)
	}
	r.mu.Unlock()
	if p != nil && p != inUse {
		r.group.closeProbe(r.def.Name, p)
	}
}

func (r *runner) running() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.parts != nil
}

func (r *runner) targets() []*action.Receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// inherit takes over the id, the judged state and the open incident of the
// monitor that r replaces.
func (r *runner) inherit(old *runner) {
	old.mu.Lock()
	defer old.mu.Unlock()
	r.id = old.id
	r.judge.state, r.judge.told = old.judge.state, old.judge.told
	r.incident, r.failedAt, r.failures, r.seq = old.incident, old.failedAt, old.failures, old.seq
	r.since, r.lastProbe, r.value, r.lastErr, r.detail = old.since, old.lastProbe, old.value, old.lastErr, old.detail
	r.probes, r.failed, r.missed = old.probes, old.failed, old.missed
}
