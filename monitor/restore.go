package monitor

import (
	"fmt"
	"slices"
)

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
