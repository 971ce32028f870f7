package monitor

import (
	"fmt"
	"slices"
	"time"
)

// Start starts a monitor that was stopped. It keeps its state, so that a failure
// that was notified before the stop is followed by its recovery. It fails with
// ErrNotFound, or with ErrInvalid if a file or receiver of the definition is missing.
func (g *Group) Start(id int64) error {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	r, err := g.find(id)
	if err != nil || r.running() {
		return err
	}
	d, err := r.definition()
	if err != nil {
		return err
	}
	p, err := g.buildOne(d)
	if err != nil {
		return fmt.Errorf("starting monitor %q: %w", r.def.Name, invalid(err))
	}
	if err := g.saveJournal(func(s *journalState) { s.setStopped(id, time.Time{}) }); err != nil {
		g.discard(r.def, p)
		return fmt.Errorf("starting monitor %q: %w", r.def.Name, err)
	}
	r.setStopped(time.Time{})
	g.receivers.release(r.currentReceivers())
	g.run(r, p)
	return nil
}

// Stop stops a monitor until Start, also over edits of its file and, with a journal,
// restarts. It does not wait for the running probe, whose result is dropped. After
// ErrJournal the monitor runs on.
func (g *Group) Stop(id int64) error {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	r, err := g.find(id)
	if err != nil || !r.stoppedTime().IsZero() {
		return err
	}
	now := time.Now()
	if err := g.saveJournal(func(s *journalState) { s.setStopped(id, now) }); err != nil {
		return fmt.Errorf("stopping monitor %q: %w", r.def.Name, err)
	}
	r.setStopped(now)
	r.stop()
	g.recorder.Record(Result{Name: r.def.Name, State: Stopped, At: now})
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

// start schedules the probe of a pipeline and notifies its receivers of Init.
func (r *runner) start(p *pipeline) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pipeline, r.ended = p, nil
	r.recallFilter(p)
	r.receivers = p.receivers
	r.former = slices.DeleteFunc(r.former, func(t Receiver) bool { return slices.Contains(p.receivers, t) })
	r.firstTick = time.Time{}
	r.renotify = r.judge.state == Failing
	if r.group.slots[r.def.probe.Kind] != nil {
		r.stopped = make(chan struct{})
	}
	for _, t := range p.receivers {
		atOnce, onceGood := t.Inits()
		if atOnce {
			t.Enqueue(r.initChange())
		}
		r.initDue = r.initDue || onceGood && !r.replaces
	}
	r.replaces = false
	r.group.scheduler.start(r.job)
}

// initChange returns the Change of a start. r.mu is held.
func (r *runner) initChange() Change {
	return Change{Monitor: r.def.Name, Event: Init, Value: r.value, Time: time.Now(), Labels: r.def.Labels}
}

// announce notifies the receivers that wait for the first good result of the start.
// It does nothing while a failure is being confirmed, and nobody is notified of the
// start once one is. r.mu is held.
func (r *runner) announce(p *pipeline, verdict State, event Event) {
	switch {
	case !r.initDue || r.judge.bad(verdict) && r.judge.state != Failing:
		return
	case r.judge.state != Failing && event == "":
		for _, t := range p.receivers {
			if _, onceGood := t.Inits(); onceGood {
				t.Enqueue(r.initChange())
			}
		}
	}
	r.initDue = false
}

// stop unschedules the monitor and cancels its running probe, which then closes
// itself. An idle probe is closed here. g.configMu is held.
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
		if r.stoppedAt.IsZero() {
			r.ended = p
		}
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

// copyState takes over the id, the state and the open incident of the runner that r
// replaces. Its receivers that p does not have become former ones if an incident is
// open. Otherwise they forget the monitor.
func (r *runner) copyState(old *runner, p *pipeline) {
	old.mu.Lock()
	defer old.mu.Unlock()
	r.id, r.busy, r.stoppedAt = old.id, old.busy, old.stoppedAt
	r.takeOver(old.judge.standing, old.past, old.initDue)
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

// detachReceivers returns all receivers that may have been notified of an incident.
// They will not be notified of its recovery.
func (r *runner) detachReceivers() []Receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Concat(r.former, r.receivers)
	r.former = nil
	return all
}

// hasFormer reports whether t is a former receiver that needs the recovery of the
// open incident.
func (r *runner) hasFormer(t Receiver) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.former, t)
}
