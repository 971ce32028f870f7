package monitor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"

	"github.com/microhq/monitor-srv/document"
)

// Apply makes the monitors of files match set. problems are those of reading set:
// the monitors and receivers of a file or directory with an error stay as they are
// unless set defines them. Unchanged monitors keep their state and miss no probe, even
// if they have moved to another file or a file with one of their secrets has changed.
// Changed ones keep their id, and stay stopped if they are. Apply returns the errors of
// kinds. A file with document.MaxProblems errors is not applied any further, and if
// ctx ends nothing is.
func (g *Group) Apply(ctx context.Context, set Set, problems []*document.Problem) []*document.Problem {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	a := &application{ctx: ctx, wrong: make(map[string]int), failed: make(map[string]bool)}
	a.count(problems)
	for file := range a.wrong {
		a.failed[file] = true
	}
	g.readFiles, g.receivers.invalid, g.warned = make(fingerprints), set.invalidReceivers, nil
	g.applyReceivers(a, set.Receivers)
	g.applyMonitors(a, set)
	found := a.found
	if ctx.Err() != nil {
		g.readFiles = nil
		return found
	}
	g.receivers.removeUnused(g.sorted())
	found = append(found, g.refreshFiles()...)
	g.readFiles, g.watchedFiles, g.warned = nil, g.readFiles, nil
	g.logStayed()
	if g.lastID > g.journaledID {
		if err := g.saveJournal(func(*journalState) {}); err != nil {
			found = append(found, &document.Problem{File: g.cfg.Journal.path(), Err: err})
		}
	}
	return found
}

// application is the state of one Apply.
type application struct {
	ctx   context.Context
	found []*document.Problem
	// wrong holds the number of errors of each file, failed the files and directories
	// whose definitions are not all known.
	wrong  map[string]int
	failed map[string]bool
}

func (a *application) count(problems []*document.Problem) {
	for _, p := range problems {
		if !p.Warning {
			a.wrong[p.File]++
		}
	}
}

// report adds the problems of a definition, and the one that says that there are too
// many.
func (a *application) report(problems []*document.Problem) {
	for _, p := range problems {
		before := a.wrong[p.File]
		a.count([]*document.Problem{p})
		a.found = append(a.found, p)
		if before < document.MaxProblems && a.wrong[p.File] == document.MaxProblems {
			a.failed[p.File] = true
			a.found = append(a.found, document.TooMany(p.File))
		}
	}
}

// skips reports whether the definitions of a file are not applied, because ctx has
// ended or there are too many errors.
func (a *application) skips(file string) bool {
	return a.ctx.Err() != nil || a.wrong[file] >= document.MaxProblems
}

// retains reports whether what a file defined before stays although it is not defined
// now.
func (a *application) retains(file string) bool {
	return a.failed[file] || a.failed[filepath.Dir(file)] || a.ctx.Err() != nil
}

// applyReceivers adds the receivers of files, replaces the actions of changed ones,
// and marks those that no file defines any more.
func (g *Group) applyReceivers(a *application, defined []*ReceiverDefinition) {
	names := make(map[string]bool, len(defined))
	for _, d := range defined {
		names[d.Name] = true
		if a.skips(d.file) {
			continue
		}
		if old := g.receivers.files[d.Name]; old != nil && reflect.DeepEqual(old.def.action.Tree, d.action.Tree) && old.def.action.Kind == d.action.Kind {
			old.def, old.removed = d, false
			continue
		}
		fingerprint := g.readFiles.section(d.action)
		made, err := g.newAction(d.action)
		if err != nil {
			a.report(document.ProblemsOf(d.file, "", fmt.Errorf("receiver %q: %w", d.Name, err)))
			g.receivers.invalid = append(g.receivers.invalid, d.Name)
			continue
		}
		for _, warning := range g.takeWarnings(d.file, "") {
			warning.Err = fmt.Errorf("receiver %q: %w", d.Name, warning.Err)
			a.report([]*document.Problem{warning})
		}
		g.receivers.define(d, made, fingerprint)
	}
	for name, f := range g.receivers.files {
		f.removed = !names[name] && !a.retains(f.def.file)
	}
}

// applyMonitors adds, replaces and removes the monitors of files.
func (g *Group) applyMonitors(a *application, set Set) {
	names := make(map[string]bool, len(set.Monitors))
	for _, d := range set.Monitors {
		names[d.Name] = true
		if !a.skips(d.file) {
			a.report(document.ProblemsOf(d.file, d.Name, g.applyMonitor(d)))
			a.report(g.takeWarnings(d.file, d.Name))
		}
	}
	for _, d := range set.invalid {
		names[d.Name] = true // it may have moved to this file before it was broken
		if !a.skips(d.file) {
			p, _, err := g.prepare(d)
			g.closeProbe(d.Name, p)
			a.report(document.ProblemsOf(d.file, d.Name, err))
		}
	}
	for _, r := range g.sorted() {
		if r.isOfFile() && !names[r.def.Name] && !a.retains(r.place().file) {
			g.remove(r)
			g.former[r.def.Name] = r.fileEntry()
		}
	}
	g.trimFormer()
}

// applyMonitor adds the monitor of a definition, or replaces the one with its name
// unless they are the same. g.configMu is held.
func (g *Group) applyMonitor(d *Definition) error {
	old := g.lookup(d.Name)
	if old != nil && !old.isOfFile() {
		return fmt.Errorf("%w by a monitor registered at run time", ErrExists)
	}
	if old != nil && old.def.isUnchanged(d) {
		old.moved.Store(d.place())
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
		g.adopt(r)
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
