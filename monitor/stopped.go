package monitor

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A stop lasts until a start: over edits of the definition, reloads of its file and,
// with a journal, restarts.

// maxFormer bounds the monitors of files that are not defined any more, whose ids are
// retained. Those with the lowest ids are dropped.
const maxFormer = 10_000

// maxNamesLogged bounds the names in one line of the log.
const maxNamesLogged = 10

// fileEntry is what a Journal retains of one monitor of a file.
type fileEntry struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	// Stopped is when it was stopped, or zero.
	Stopped time.Time `json:"stopped,omitzero"`
}

// place is where a monitor is defined, see Definition.
type place struct {
	origin, file string
	line         int
}

func (d *Definition) place() *place { return &place{d.Origin, d.file, d.line} }

// place returns where the monitor is defined now.
func (r *runner) place() place {
	if moved := r.moved.Load(); moved != nil {
		return *moved
	}
	return *r.def.place()
}

// isOfFile reports whether a file defines the monitor.
func (r *runner) isOfFile() bool { return r.place().origin != OriginAPI }

// definition returns the definition as Definition.expand does, with its current place.
func (r *runner) definition() (*Definition, error) {
	d, p := *r.def, r.place()
	d.Origin, d.file, d.line = p.origin, p.file, p.line
	return d.expand()
}

// stoppedTime returns when the monitor was stopped, or the zero time.
func (r *runner) stoppedTime() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stoppedAt
}

func (r *runner) setStopped(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stoppedAt = at
}

// stayStopped takes a pipeline as start does, but leaves the monitor stopped. Building
// it has shown whether the definition is valid.
func (r *runner) stayStopped(p *pipeline) {
	r.mu.Lock()
	r.receivers, r.replaces = p.receivers, false
	if r.recalled != nil {
		r.recalled.Filter = nil
	}
	r.former = slices.DeleteFunc(r.former, func(t Receiver) bool { return slices.Contains(p.receivers, t) })
	r.mu.Unlock()
	r.group.closeProbe(r.def.Name, p)
	r.group.stayed = append(r.group.stayed, r.def.Name)
}

// logStayed logs the monitors that a change has left stopped. g.configMu is held.
func (g *Group) logStayed() {
	if n := len(g.stayed); n > 0 {
		g.log.Info("monitors stay stopped until they are started", "count", n, "monitors", g.stayed[:min(n, maxNamesLogged)])
	}
	g.stayed = nil
}

// adopt gives the monitor of a file the id that it had before, if any, and leaves it
// stopped if it was. g.configMu is held.
func (g *Group) adopt(r *runner) {
	e, known := g.former[r.def.Name]
	if !known {
		r.id = g.nextID()
		return
	}
	delete(g.former, r.def.Name)
	r.id, r.stoppedAt = e.ID, e.Stopped
}

// trimFormer drops entries beyond maxFormer. g.configMu is held.
func (g *Group) trimFormer() {
	excess := len(g.former) - maxFormer
	if excess <= 0 {
		return
	}
	for _, e := range slices.SortedFunc(maps.Values(g.former), compareIDs)[:excess] {
		delete(g.former, e.Name)
	}
}

func (r *runner) fileEntry() fileEntry { return fileEntry{r.id, r.def.Name, r.stoppedTime()} }

func compareIDs(a, b fileEntry) int { return cmp.Compare(a.ID, b.ID) }

// Persists reports whether changes survive a restart.
func (g *Group) Persists() bool { return g.cfg.Journal != nil }
