package monitor

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/microhq/monitor-srv/access"
)

// Registered is the result of RegisterText.
type Registered struct {
	ID   int64
	Name string
	// Existed is true if the caller had registered the same definition before. Then
	// nothing has changed.
	Existed bool
	// Stopped is true if that monitor is stopped.
	Stopped bool
}

// RegisterText registers the definition in text, see ParseOne, for a caller of the
// API if the policy permits it. REST and RPC both use it. It fails with an error of
// package access, ErrTooLarge, or as Register does.
func (g *Group) RegisterText(p access.Policy, c access.Caller, text string) (Registered, error) {
	if err := access.Enough(c.Role, access.Operator); err != nil {
		return Registered{}, err
	}
	d, err := ParseOne(text)
	if err != nil {
		return Registered{}, invalid(err)
	}
	if err := p.Permit(c.Role, d.Registration()); err != nil {
		return Registered{}, fmt.Errorf("registering monitor %q: %w", d.Name, err)
	}
	d.Trusted, d.Owner = c.Role >= access.Admin, c.Owner
	r, existed, err := g.register(d)
	if err != nil {
		return Registered{}, err
	}
	return Registered{ID: r.id, Name: d.Name, Existed: existed, Stopped: !r.running()}, nil
}

// Register starts the monitor of a definition that ParseOne returned, and returns
// its id. With a journal, the monitor is in the journal before Register returns.
// If the same owner registers the same definition again, Register returns the id of
// the existing monitor and changes nothing, even if that monitor is stopped.
// Register fails with ErrExists, ErrFull, a *RateError, ErrJournal or ErrInvalid.
func (g *Group) Register(d *Definition) (int64, error) {
	r, _, err := g.register(d)
	if err != nil {
		return 0, err
	}
	return r.id, nil
}

// register is Register. existed is true if it returns an existing monitor.
func (g *Group) register(d *Definition) (r *runner, existed bool, err error) {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	if old := g.lookup(d.Name); old != nil && d.sameRegistration(old.def) {
		return old, true, nil
	}
	if r, err = g.registerNew(d); err != nil {
		return nil, false, fmt.Errorf("registering monitor %q: %w", d.Name, err)
	}
	return r, false, nil
}

// registerNew adds and starts a new monitor. g.configMu is held.
func (g *Group) registerNew(d *Definition) (*runner, error) {
	if g.lookup(d.Name) != nil {
		return nil, fmt.Errorf("%w: choose another, or unregister the monitor that has it", ErrExists)
	}
	if err := g.checkLimits(d.Owner); err != nil {
		return nil, err
	}
	p, err := g.buildOne(d)
	if err != nil {
		return nil, invalid(err)
	}
	last := g.lastID
	r := g.newRunner(d, g.former[d.Name].ID)
	if r.id == 0 {
		r.id = g.nextID()
	}
	if err := g.saveJournal(func(s *journalState) {
		s.Files = slices.DeleteFunc(s.Files, func(e fileEntry) bool { return e.ID == r.id }) // a former one
		s.Monitors = append(s.Monitors, r.journalEntry())
	}); err != nil {
		g.lastID = last
		g.discard(d, p)
		return nil, err
	}
	delete(g.former, d.Name)
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
	if wait := g.registerRate.reserve(g.cfg.MaxPerSecond, g.clock.Now()); wait > 0 {
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

// Unregister removes a registered monitor and does not wait for its running probe. It
// fails with ErrOfFile for a monitor of a file. After ErrJournal nothing has changed.
func (g *Group) Unregister(id int64) error {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	r, err := g.find(id)
	if err != nil {
		return g.forgetUnrestored(id, err)
	}
	if r.isOfFile() {
		return fmt.Errorf("unregistering monitor %q: %w %q: remove it there, or stop it until it is started again", r.def.Name, ErrOfFile, filepath.Base(r.place().file))
	}
	if err := g.saveJournal(func(s *journalState) { s.remove(id) }); err != nil {
		return fmt.Errorf("unregistering monitor %q: %w", r.def.Name, err)
	}
	g.remove(r)
	g.receivers.removeUnused(g.sorted())
	return nil
}

// forgetUnrestored removes an unrestored monitor from the journal. It returns
// notFound if there is none with the id.
func (g *Group) forgetUnrestored(id int64, notFound error) error {
	i := slices.IndexFunc(g.unrestored, func(e journalEntry) bool { return e.ID == id })
	if i < 0 {
		return notFound
	}
	if err := g.saveJournal(func(s *journalState) { s.remove(id) }); err != nil {
		return fmt.Errorf("unregistering monitor %d: %w", id, err)
	}
	g.setUnrestored(slices.Delete(slices.Clone(g.unrestored), i, i+1))
	return nil
}
