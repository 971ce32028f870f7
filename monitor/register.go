package monitor

import (
	"fmt"
	"slices"
	"time"
)

// A RateError says that monitors are registered too fast.
type RateError struct {
	// Max is the number of registrations per second.
	Max int
	// Wait is the time until the next registration, more than 0 and at most 1 s.
	Wait time.Duration
}

func (e *RateError) Error() string {
	return fmt.Sprintf("at most %d monitors may be registered per second: try again in 1s", e.Max)
}

// RetryAfter returns the time to wait.
func (e *RateError) RetryAfter() time.Duration { return e.Wait }

// Register starts the monitor of a definition that ParseOne returned, and returns
// its id. With a journal, the monitor is in the journal before Register returns.
// If the same owner registers the same definition again, Register returns the id of
// the existing monitor and changes nothing, even if that monitor is stopped.
// Register fails with ErrExists, ErrFull, a *RateError, ErrJournal or an error of
// the definition.
func (g *Group) Register(d *Definition) (int64, error) {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	if old := g.lookup(d.Name); old != nil && d.sameRegistration(old.def) {
		return old.id, nil
	}
	r, err := g.register(d)
	if err != nil {
		return 0, fmt.Errorf("registering monitor %q: %w", d.Name, err)
	}
	return r.id, nil
}

func (g *Group) register(d *Definition) (*runner, error) {
	if g.lookup(d.Name) != nil {
		return nil, fmt.Errorf("%w: choose another, or unregister the monitor that has it", ErrExists)
	}
	if err := g.checkLimits(d.Owner); err != nil {
		return nil, err
	}
	p, err := g.buildOne(d)
	if err != nil {
		return nil, err
	}
	r := g.newRunner(d, g.nextID())
	if err := g.saveJournal(r); err != nil {
		g.discard(d, p)
		return nil, err
	}
	g.add(r)
	g.run(r, p)
	return r, nil
}

// checkLimits returns an error if the owner may not register one more monitor, and
// counts it against the rate otherwise. Unrestored monitors count too, because they
// are in the journal. g.configMu is held.
func (g *Group) checkLimits(owner string) error {
	registered := g.registered()
	total, owned := len(registered)+len(g.unrestored), 0
	for _, r := range registered {
		if r.def.Owner == owner {
			owned++
		}
	}
	for _, e := range g.unrestored {
		if e.Owner == owner {
			owned++
		}
	}
	switch {
	case total >= g.cfg.MaxRegistered:
		return fmt.Errorf("%w: the limit is %d; unregister some, or define them in files", ErrFull, g.cfg.MaxRegistered)
	case owner != "" && owned >= g.cfg.MaxOwned:
		return fmt.Errorf("%w with this token: the limit is %d; unregister some, use another token, or define them in files", ErrFull, g.cfg.MaxOwned)
	}
	if wait := g.registerRate.reserve(g.cfg.MaxPerSecond, time.Now()); wait > 0 {
		return &RateError{Max: g.cfg.MaxPerSecond, Wait: wait}
	}
	return nil
}

// rateLimiter limits the number of events within any second. The zero value is
// ready.
type rateLimiter struct{ recent []time.Time }

// reserve counts one more event and returns 0, or returns the time to wait.
func (l *rateLimiter) reserve(limit int, now time.Time) time.Duration {
	l.recent = slices.DeleteFunc(l.recent, func(t time.Time) bool { return now.Sub(t) >= time.Second })
	if len(l.recent) >= limit {
		return time.Second - now.Sub(l.recent[0])
	}
	l.recent = append(l.recent, now)
	return 0
}

// Unregister removes a monitor and does not wait for its running probe. A monitor
// of a file comes back when the files are read again. After ErrJournal the monitor
// is removed, but it would come back after a restart.
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

// forgetUnrestored removes an unrestored monitor from the journal. It returns
// notFound if there is none with the id.
func (g *Group) forgetUnrestored(id int64, notFound error) error {
	i := slices.IndexFunc(g.unrestored, func(e journalEntry) bool { return e.ID == id })
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

// saveJournal writes the registered monitors, those about to be added and the last
// id to the journal. g.configMu is held.
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

// Restore starts the monitors of the journal under their ids, if allow permits the
// definition. It returns an error for each monitor that is not permitted or no
// longer valid. Such a monitor stays in the journal until it is unregistered.
func (g *Group) Restore(allow func(*Definition) error) []error {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	var errs []error
	g.unrestored = slices.DeleteFunc(slices.Clone(g.unrestored), func(e journalEntry) bool {
		err := g.restore(e, allow)
		if err != nil {
			errs = append(errs, fmt.Errorf("restoring monitor %d: %w", e.ID, err))
		}
		return err == nil
	})
	return errs
}

func (g *Group) restore(e journalEntry, allow func(*Definition) error) error {
	d, err := ParseOne(e.Text)
	if err != nil {
		return err
	}
	d.Trusted, d.Owner = e.Trusted, e.Owner
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
	r := g.newRunner(d, e.ID)
	g.add(r)
	g.run(r, p)
	return nil
}
