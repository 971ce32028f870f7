package monitor

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"

	"github.com/microhq/monitor-srv/document"
)

// Apply makes the monitors of files match set. problems are those of reading set:
// the monitors and receivers of a file or directory with an error stay as they are
// unless set defines them. Unchanged monitors keep their state and miss no probe,
// even if a file with one of their secrets has changed. Apply returns the errors of
// kinds.
func (g *Group) Apply(set Set, problems []*document.Problem) []*document.Problem {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	failed := make(map[string]bool)
	for _, p := range problems {
		if !p.Warning {
			failed[p.File] = true
		}
	}
	retained := func(file string) bool { return failed[file] || failed[filepath.Dir(file)] }
	g.readFiles, g.receivers.invalid = make(fingerprints), set.invalidReceivers
	found := g.applyReceivers(set.Receivers, retained)
	found = append(found, g.applyMonitors(set, retained)...)
	g.receivers.removeUnused(g.sorted())
	found = append(found, g.refreshFiles()...)
	g.readFiles, g.watchedFiles = nil, g.readFiles
	if g.lastID > g.journaledID {
		if err := g.saveJournal(); err != nil {
			found = append(found, &document.Problem{File: g.cfg.Journal.path(), Err: err})
		}
	}
	return found
}

// applyReceivers adds the receivers of files, replaces the actions of changed ones,
// and marks those that no file defines any more.
func (g *Group) applyReceivers(defined []*ReceiverDefinition, retained func(file string) bool) []*document.Problem {
	var found []*document.Problem
	names := make(map[string]bool, len(defined))
	for _, d := range defined {
		names[d.Name] = true
		if old := g.receivers.files[d.Name]; old != nil && reflect.DeepEqual(old.def.action.Tree, d.action.Tree) && old.def.action.Kind == d.action.Kind {
			old.def, old.removed = d, false
			continue
		}
		fingerprint := g.readFiles.section(d.action)
		a, err := g.newAction(d.action)
		if err != nil {
			found = append(found, document.ProblemsOf(d.file, "", fmt.Errorf("receiver %q: %w", d.Name, err))...)
			g.receivers.invalid = append(g.receivers.invalid, d.Name)
			continue
		}
		g.receivers.define(d, a, fingerprint)
	}
	for name, f := range g.receivers.files {
		f.removed = !names[name] && !retained(f.def.file)
	}
	return found
}

// applyMonitors adds, replaces and removes the monitors of files.
func (g *Group) applyMonitors(set Set, retained func(file string) bool) []*document.Problem {
	var found []*document.Problem
	names := make(map[string]bool, len(set.Monitors))
	for _, d := range set.Monitors {
		names[d.Name] = true
		if err := g.applyMonitor(d); err != nil {
			found = append(found, document.ProblemsOf(d.file, d.Name, err)...)
		}
	}
	for _, d := range set.invalid {
		p, _, err := g.prepare(d)
		g.closeProbe(d.Name, p)
		found = append(found, document.ProblemsOf(d.file, d.Name, err)...)
	}
	for _, r := range g.sorted() {
		if r.def.Origin != OriginAPI && !names[r.def.Name] && !retained(r.def.file) {
			g.remove(r)
		}
	}
	return found
}

// applyMonitor adds the monitor of a definition, or replaces the one with its name
// unless they are the same. g.configMu is held.
func (g *Group) applyMonitor(d *Definition) error {
	old := g.lookup(d.Name)
	if old != nil && old.def.Origin == OriginAPI {
		return fmt.Errorf("%w by a monitor registered at run time", ErrExists)
	}
	if old != nil && old.def.file == d.file && old.def.sameKeys(d) {
		return g.checkReceivers(d)
	}
	p, err := g.build(d)
	if err != nil {
		return err
	}
	r := g.newRunner(d, 0)
	if old != nil {
		old.stop()
		r.copyState(old, p)
		g.receivers.release(old.currentReceivers())
	} else {
		r.id = g.nextID()
	}
	g.add(r)
	g.run(r, p)
	return nil
}

// checkReceivers reports the receivers of an unchanged monitor that no file defines
// any more. They stay in use, so that somebody is notified.
func (g *Group) checkReceivers(d *Definition) error {
	var errs []error
	for _, s := range d.actions {
		if s.Receiver != "" && g.receivers.lookup(s.Receiver) == nil {
			errs = append(errs, document.WithLine(s, fmt.Errorf("receiver %q is not defined in any file; the monitor keeps using the previous one", s.Receiver)))
		}
	}
	return errors.Join(errs...)
}
