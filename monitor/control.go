package monitor

import (
	"fmt"
	"slices"
	"time"
)

// Register starts the monitor of a definition made by ParseOne and returns its
// id. It is in the journal, if there is one, before Register returns. What its
// owner registered before, and is the same, changes nothing: the id is that of
// the monitor there is, also if that was stopped. Register fails with ErrExists,
// ErrFull, a *RateError, ErrJournal or ErrInvalid.
func (g *Group) Register(d *Definition) (int64, error) {
	id, _, err := g.register(d)
	return id, err
}

// register is Register. existed tells whether the same monitor was there.
func (g *Group) register(d *Definition) (id int64, existed bool, err error) {
	g.changes.Lock()
	defer g.changes.Unlock()
	if old := g.named(d.Name); old != nil {
		if d.repeats(old.def) {
			return old.id, true, nil
		}
		return 0, false, fmt.Errorf("registering monitor %q: %w: choose another, or unregister the monitor that has it", d.Name, ErrExists)
	}
	if err := g.room(d.Owner); err != nil {
		return 0, false, fmt.Errorf("registering monitor %q: %w", d.Name, err)
	}
	p, err := g.buildAlone(d)
	if err != nil {
		return 0, false, fmt.Errorf("registering monitor %q: %w", d.Name, invalid(err))
	}
	r := g.newRunner(d, g.nextID())
	if err := g.journal(r); err != nil {
		g.discard(d, p)
		return 0, false, fmt.Errorf("registering monitor %q: %w", d.Name, err)
	}
	g.enter(r)
	g.run(r, p)
	return r.id, false, nil
}

// Unregister ends a monitor for good. One of a file comes back when the files
// are read again. It does not wait for a probe that runs. With ErrJournal the
// monitor has ended, but would come back after a restart.
func (g *Group) Unregister(id int64) error {
	g.changes.Lock()
	defer g.changes.Unlock()
	r, err := g.find(id)
	if err != nil {
		return g.forgetDormant(id, err)
	}
	g.remove(r)
	g.receivers.sweep(g.sorted())
	if r.def.Origin != OriginAPI {
		return nil
	}
	if err := g.journal(); err != nil {
		return fmt.Errorf("unregistering monitor %q: %w", r.def.Name, err)
	}
	return nil
}

// forgetDormant takes a monitor out of the journal that could not be restored;
// notFound is what to say if there is none.
func (g *Group) forgetDormant(id int64, notFound error) error {
	i := slices.IndexFunc(g.dormant, func(s Saved) bool { return s.ID == id })
	if i < 0 {
		return notFound
	}
	g.dormant = slices.Delete(g.dormant, i, i+1)
	if err := g.journal(); err != nil {
		return fmt.Errorf("unregistering monitor %d: %w", id, err)
	}
	return nil
}

// registered returns the monitors that were registered at run time, by id.
func (g *Group) registered() []*runner {
	return slices.DeleteFunc(g.sorted(), func(r *runner) bool { return r.def.Origin != OriginAPI })
}

// journal writes down the registered monitors, those that are being added
// included, and the last id. g.changes is held.
func (g *Group) journal(added ...*runner) error {
	if g.cfg.Journal == nil {
		return nil
	}
	state := journalState{LastID: g.lastID, Monitors: slices.Clone(g.dormant)}
	for _, r := range append(g.registered(), added...) {
		state.Monitors = append(state.Monitors, Saved{ID: r.id, Text: r.def.text, Trusted: r.def.Trusted, Owner: r.def.Owner})
	}
	if err := g.cfg.Journal.save(state); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	g.savedID = g.lastID
	return nil
}

// Restore registers what the journal held when it was opened, under the ids it
// had. allow says whether a definition may run still. One that may not, or is
// wrong by now, is told of; it stays in the journal until its id is unregistered.
func (g *Group) Restore(allow func(*Definition) error) []error {
	g.changes.Lock()
	defer g.changes.Unlock()
	var errs []error
	g.dormant = slices.DeleteFunc(slices.Clone(g.dormant), func(saved Saved) bool {
		err := g.restore(saved, allow)
		if err != nil {
			errs = append(errs, fmt.Errorf("restoring monitor %d: %w", saved.ID, err))
		}
		return err == nil
	})
	return errs
}

func (g *Group) restore(saved Saved, allow func(*Definition) error) error {
	d, err := ParseOne(saved.Text)
	if err != nil {
		return err
	}
	d.Trusted, d.Owner = saved.Trusted, saved.Owner
	if err := allow(d); err != nil {
		return err
	}
	if g.named(d.Name) != nil {
		return fmt.Errorf("%q: %w", d.Name, ErrExists)
	}
	p, err := g.buildAlone(d)
	if err != nil {
		return err
	}
	r := g.newRunner(d, saved.ID)
	g.enter(r)
	g.run(r, p)
	return nil
}

// Start starts a monitor that was stopped. It fails with ErrNotFound, or with
// ErrInvalid if what the definition names is no longer there. It goes on with the state it had, so
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
	whole, err := r.def.unpacked()
	if err != nil {
		return err
	}
	p, err := g.buildAlone(whole)
	if err != nil {
		return fmt.Errorf("starting monitor %q: %w", r.def.Name, invalid(err))
	}
	g.receivers.release(r.targets())
	g.run(r, p)
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
	r.owed = slices.DeleteFunc(r.owed, func(t Receiver) bool { return slices.Contains(p.targets, t) })
	r.origin = time.Time{}
	r.retell = r.judge.state == Failing
	if r.group.slots[r.def.probe.Kind] != nil {
		r.stopped = make(chan struct{})
	}
	n := Change{
		Monitor: r.def.Name, Event: Init, Time: time.Now(), Labels: r.def.Labels,
	}
	for _, t := range p.targets {
		t.Enqueue(n)
	}
	r.group.scheduler.first(r.job)
}

// stop ends probing. The probe is closed, or by the run that uses it. g.changes is
// held.
func (r *runner) stop() {
	r.mu.Lock()
	p := r.parts
	inUse := r.inUse
	if p != nil {
		if r.stopped != nil {
			close(r.stopped)
		}
		if r.cancel != nil {
			r.cancel()
		}
		r.parts = nil
		r.group.scheduler.remove(r.job)
	}
	r.mu.Unlock()
	if p != nil && p != inUse {
		r.group.closeAside(r.def.Name, p)
	}
}

func (r *runner) running() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.parts != nil
}

func (r *runner) targets() []Receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// inherit takes over the id, the judged state and the open incident of the
// monitor that r replaces, and remembers who was told of the incident and is no
// target of p. Without an incident those forget the monitor.
func (r *runner) inherit(old *runner, p *parts) {
	old.mu.Lock()
	defer old.mu.Unlock()
	r.id, r.busy = old.id, old.busy
	r.judge.state, r.judge.told = old.judge.state, old.judge.told
	r.incident, r.failedAt, r.failures, r.seq = old.incident, old.failedAt, old.failures, old.seq
	r.since, r.lastProbe, r.value, r.lastErr, r.detail = old.since, old.lastProbe, old.value, old.lastErr, old.detail
	r.probes, r.failed, r.missed = old.probes, old.failed, old.missed
	for _, t := range slices.Concat(old.owed, old.last) {
		switch {
		case slices.Contains(p.targets, t):
		case r.judge.state == Failing:
			r.owed = append(r.owed, t)
		default:
			t.Forget(r.def.Name)
		}
	}
}

// abandon returns who may have been told of an incident, none of whom will hear
// of its end.
func (r *runner) abandon() []Receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := slices.Concat(r.owed, r.last)
	r.owed = nil
	return told
}

// owes tells whether a receiver of a former definition waits for the end of the
// open incident.
func (r *runner) owes(t Receiver) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.owed, t)
}
