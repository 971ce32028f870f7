package monitor

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"

	"github.com/microhq/monitor-srv/document"
)

// Apply brings the monitors of files to what set says. problems are those that
// came with set: the monitors and receivers of a file with a problem, or in a
// directory with one, stay as they are unless set defines them anew. Monitors
// that did not change keep their state and miss no probe, also if a file changed
// that holds a secret of theirs. It returns what kinds found wrong.
func (g *Group) Apply(set Set, problems []*document.Problem) []*document.Problem {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	unread := make(map[string]bool)
	for _, p := range problems {
		if !p.Warning {
			unread[p.File] = true
		}
	}
	stays := func(file string) bool { return unread[file] || unread[filepath.Dir(file)] }
	g.readFiles, g.receivers.invalid = make(fingerprints), set.invalidReceivers
	found := g.applyReceivers(set.Receivers, stays)
	wanted := make(map[string]bool, len(set.Monitors))
	for _, d := range set.Monitors {
		wanted[d.Name] = true
		if err := g.applyMonitor(d); err != nil {
			found = append(found, document.ProblemsOf(d.file, d.Name, err)...)
		}
	}
	for _, d := range set.invalid {
		p, _, err := g.prepare(d)
		g.closeProbe(d.Name, p)
		if err != nil {
			found = append(found, document.ProblemsOf(d.file, d.Name, err)...)
		}
	}
	for _, r := range g.sorted() {
		if r.def.Origin != OriginAPI && !wanted[r.def.Name] && !stays(r.def.file) {
			g.remove(r)
		}
	}
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

// applyReceivers builds the receivers of files, gives those that are there their
// new action, and marks those that no file defines any more.
func (g *Group) applyReceivers(defined []*ReceiverDefinition, stays func(file string) bool) []*document.Problem {
	var found []*document.Problem
	there := make(map[string]bool, len(defined))
	for _, d := range defined {
		there[d.Name] = true
		if old := g.receivers.files[d.Name]; old != nil && reflect.DeepEqual(old.def.action.Tree, d.action.Tree) && old.def.action.Kind == d.action.Kind {
			old.def, old.removed = d, false
			continue
		}
		secrets := g.readFiles.section(d.action)
		a, err := g.newAction(d.action)
		if err != nil {
			found = append(found, document.ProblemsOf(d.file, "", fmt.Errorf("receiver %q: %w", d.Name, err))...)
			g.receivers.invalid = append(g.receivers.invalid, d.Name)
			continue
		}
		g.receivers.define(d, a, secrets)
	}
	for name, old := range g.receivers.files {
		old.removed = !there[name] && !stays(old.def.file)
	}
	return found
}

// put starts the monitor of a definition, or replaces the one of its name unless
// nothing changed. g.changes is held.
func (g *Group) applyMonitor(d *Definition) error {
	old := g.lookup(d.Name)
	if old != nil && old.def.Origin == OriginAPI {
		return fmt.Errorf("%w, by a monitor registered at run time", ErrExists)
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

// stillDefined tells of receivers of an unchanged monitor that no file defines
// any more. It keeps them: somebody may have to be told.
func (g *Group) checkReceivers(d *Definition) error {
	var errs []error
	for _, s := range d.actions {
		if s.Receiver != "" && g.receivers.lookup(s.Receiver) == nil {
			errs = append(errs, document.WithLine(s, fmt.Errorf("receiver %q is not defined in any file; the monitor goes on with the one it had", s.Receiver)))
		}
	}
	return errors.Join(errs...)
}
