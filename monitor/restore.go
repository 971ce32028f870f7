package monitor

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// registered returns the monitors that were registered at run time, by id.
func (g *Group) registered() []*runner {
	return slices.DeleteFunc(g.sorted(), func(r *runner) bool { return r.isOfFile() })
}

// saveJournal writes the monitors and the last id to the journal, after edit has made
// the change that is about to happen. g.configMu is held.
func (g *Group) saveJournal(edit func(*journalState)) error {
	if g.cfg.Journal == nil {
		return nil
	}
	state := journalState{LastID: g.lastID, Monitors: slices.Clone(g.unrestored)}
	for _, r := range g.sorted() {
		if r.isOfFile() {
			state.Files = append(state.Files, r.fileEntry())
		} else {
			state.Monitors = append(state.Monitors, r.journalEntry())
		}
	}
	state.Files = slices.AppendSeq(state.Files, maps.Values(g.former))
	slices.SortFunc(state.Files, compareIDs)
	edit(&state)
	if err := g.cfg.Journal.save(state); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	g.journaledID = g.lastID
	return nil
}

func (r *runner) journalEntry() journalEntry {
	return journalEntry{
		ID: r.id, Text: r.def.text, Trusted: r.def.Trusted, Owner: r.def.Owner,
		Name: r.def.Name, Stopped: r.stoppedTime(),
	}
}

// remove removes a registered monitor.
func (s *journalState) remove(id int64) {
	s.Monitors = slices.DeleteFunc(s.Monitors, func(e journalEntry) bool { return e.ID == id })
}

// setStopped sets when a monitor was stopped.
func (s *journalState) setStopped(id int64, at time.Time) {
	for i := range s.Monitors {
		if s.Monitors[i].ID == id {
			s.Monitors[i].Stopped = at
		}
	}
	for i := range s.Files {
		if s.Files[i].ID == id {
			s.Files[i].Stopped = at
		}
	}
}

// Restore starts the monitors of the journal under their ids, if allow permits the
// definition. It returns an error for each monitor that is not permitted or no
// longer valid. Such a monitor stays in the journal until it is unregistered.
func (g *Group) Restore(allow func(*Definition) error) []error {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	var errs []error
	left := slices.DeleteFunc(slices.Clone(g.unrestored), func(e journalEntry) bool {
		err := g.restore(e, allow)
		if err != nil {
			errs = append(errs, fmt.Errorf("restoring monitor %d: %w", e.ID, err))
		}
		return err == nil
	})
	g.setUnrestored(left)
	g.logStayed()
	return errs
}

// setUnrestored replaces the unrestored monitors by another slice: IDOf may still read
// the old one. g.configMu is held.
func (g *Group) setUnrestored(left []journalEntry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unrestored = left
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
	r.stoppedAt = e.Stopped
	g.add(r)
	g.run(r, p)
	return nil
}
