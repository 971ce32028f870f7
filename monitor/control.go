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
// ErrFull, a *RateError, ErrJournal or what is wrong with the definition.
func (g *Group) Register(d *Definition) (int64, error) {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	if old := g.lookup(d.Name); old != nil {
		if d.sameRegistration(old.def) {
			return old.id, nil
		}
		return 0, fmt.Errorf("registering monitor %q: %w: choose another, or unregister the monitor that has it", d.Name, ErrExists)
	}
	if err := g.checkLimits(d.Owner); err != nil {
		return 0, fmt.Errorf("registering monitor %q: %w", d.Name, err)
	}
	p, err := g.buildOne(d)
	if err != nil {
		return 0, fmt.Errorf("registering monitor %q: %w", d.Name, err)
	}
	r := g.newRunner(d, g.nextID())
	if err := g.saveJournal(r); err != nil {
		g.discard(d, p)
		return 0, fmt.Errorf("registering monitor %q: %w", d.Name, err)
	}
	g.add(r)
	g.run(r, p)
	return r.id, nil
}

// Unregister ends a monitor for good. One of a file comes back when the files
// are read again. It does not wait for a probe that runs. With ErrJournal the
// monitor has ended, but would come back after a restart.
func (g *Group) Unregister(id int64) error {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	r, err := g.find(id)
	if err != nil {
		return g.forgetUnrestored(id, err)
	}
	g.remove(r)
	g.receivers.removeUnused(g.sorted())
	if r.def.Origin != OriginAPI {
		return nil
	}
	if err := g.saveJournal(); err != nil {
		return fmt.Errorf("unregistering monitor %q: %w", r.def.Name, err)
	}
	return nil
}

// forgetDormant takes a monitor out of the journal that could not be restored;
// notFound is what to say if there is none.
func (g *Group) forgetUnrestored(id int64, notFound error) error {
	i := slices.IndexFunc(g.unrestored, func(s journalEntry) bool { return s.ID == id })
	if i < 0 {
		return notFound
	}
	g.unrestored = slices.Delete(g.unrestored, i, i+1)
	if err := g.saveJournal(); err != nil {
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
func (g *Group) saveJournal(added ...*runner) error {
	if g.cfg.Journal == nil {
		return nil
	}
	state := journalState{LastID: g.lastID, Monitors: slices.Clone(g.unrestored)}
	for _, r := range append(g.registered(), added...) {
		state.Monitors = append(state.Monitors, journalEntry{ID: r.id, Text: r.def.text, Trusted: r.def.Trusted, Owner: r.def.Owner})
	}
	if err := g.cfg.Journal.save(state); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	g.journaledID = g.lastID
	return nil
}

// Restore registers what the journal held when it was opened, under the ids it
// had. allow says whether a definition may run still. One that may not, or is
// wrong by now, is told of; it stays in the journal until its id is unregistered.
func (g *Group) Restore(allow func(*Definition) error) []error {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	var errs []error
	g.unrestored = slices.DeleteFunc(slices.Clone(g.unrestored), func(saved journalEntry) bool {
		err := g.restore(saved, allow)
		if err != nil {
			errs = append(errs, fmt.Errorf("restoring monitor %d: %w", saved.ID, err))
		}
		return err == nil
	})
	return errs
}

func (g *Group) restore(saved journalEntry, allow func(*Definition) error) error {
	d, err := ParseOne(saved.Text)
	if err != nil {
		return err
	}
	d.Trusted, d.Owner = saved.Trusted, saved.Owner
	if err := allow(d); err != nil {
		return err
	}
	if g.lookup(d.Name) != nil {
		return fmt.Errorf("%q: %w", d.Name, ErrExists)
	}
	p, err := g.buildOne(d)
	if err != nil {
		return err
	}
	r := g.newRunner(d, saved.ID)
	g.add(r)
	g.run(r, p)
	return nil
}

// Start starts a monitor that was stopped. It goes on with the state it had, so
// that the recovery of a failure told before is told too.
func (g *Group) Start(id int64) error {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	r, err := g.find(id)
	if err != nil {
		return err
	}
	if r.running() {
		return nil
	}
	whole, err := r.def.expand()
	if err != nil {
		return err
	}
	p, err := g.buildOne(whole)
	if err != nil {
		return fmt.Errorf("starting monitor %q: %w", r.def.Name, err)
	}
	g.receivers.release(r.currentReceivers())
	g.run(r, p)
	return nil
}

// Stop stops a monitor. It does not wait for a probe that runs, whose result is
// dropped.
func (g *Group) Stop(id int64) error {
	g.configMu.Lock()
	defer g.configMu.Unlock()
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
func (r *runner) start(p *pipeline) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pipeline = p
	r.receivers = p.receivers
	r.former = slices.DeleteFunc(r.former, func(t Receiver) bool { return slices.Contains(p.receivers, t) })
	r.firstTick = time.Time{}
	r.renotify = r.judge.state == Failing
	if r.group.slots[r.def.probe.Kind] != nil {
		r.stopped = make(chan struct{})
	}
	n := Change{
		Monitor: r.def.Name, Event: Init, Time: time.Now(), Labels: r.def.Labels,
	}
	for _, t := range p.receivers {
		t.Enqueue(n)
	}
	r.group.scheduler.start(r.job)
}

// stop ends probing. The probe is closed, or by the run that uses it. g.changes is
// held.
func (r *runner) stop() {
	r.mu.Lock()
	p := r.pipeline
	inUse := r.inUse
	if p != nil {
		if r.stopped != nil {
			close(r.stopped)
		}
		if r.cancel != nil {
			r.cancel()
		}
		r.pipeline = nil
		r.group.scheduler.remove(r.job)
	}
	r.mu.Unlock()
	if p != nil && p != inUse {
		r.group.closeInBackground(r.def.Name, p)
	}
}

func (r *runner) running() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pipeline != nil
}

func (r *runner) currentReceivers() []Receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.receivers
}

// inherit takes over the id, the judged state and the open incident of the
// monitor that r replaces, and remembers who was told of the incident and is no
// target of p. Without an incident those forget the monitor.
func (r *runner) copyState(old *runner, p *pipeline) {
	old.mu.Lock()
	defer old.mu.Unlock()
	r.id, r.busy = old.id, old.busy
	r.judge.state, r.judge.notifiedAt = old.judge.state, old.judge.notifiedAt
	r.incident, r.failedAt, r.incidentFailures, r.seq = old.incident, old.failedAt, old.incidentFailures, old.seq
	r.since, r.lastProbe, r.value, r.lastErr, r.detail = old.since, old.lastProbe, old.value, old.lastErr, old.detail
	r.probes, r.failedProbes, r.missed = old.probes, old.failedProbes, old.missed
	for _, t := range slices.Concat(old.former, old.receivers) {
		switch {
		case slices.Contains(p.receivers, t):
		case r.judge.state == Failing:
			r.former = append(r.former, t)
		default:
			t.Forget(r.def.Name)
		}
	}
}

// abandon returns who may have been told of an incident, none of whom will hear
// of its end.
func (r *runner) detachReceivers() []Receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := slices.Concat(r.former, r.receivers)
	r.former = nil
	return told
}

// owes tells whether a receiver of a former definition waits for the end of the
// open incident.
func (r *runner) hasFormer(t Receiver) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.former, t)
}
