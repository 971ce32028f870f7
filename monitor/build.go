package monitor

import (
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"unicode"

	"github.com/microhq/monitor-srv/probe"
)

// errReceiversOnly is what an operator is told who writes an action out.
var errReceiversOnly = errors.New("an action of a monitor that an operator registers must be the name of a [[receiver]] in a local file")

// build makes the parts of a definition. Constructors of kinds do no I/O but
// reading the files that their keys name. What it returns holds its receivers:
// it is to be run, or given back by discard. g.changes is held.
func (g *Group) build(d *Definition) (*parts, error) {
	p, wanted, err := g.check(d)
	if err != nil {
		g.closeProbe(d.Name, p)
		return nil, err
	}
	// Receivers change only once everything is known to be good.
	for _, w := range wanted {
		t := g.receivers.of(w)
		if !slices.Contains(p.targets, t) {
			p.targets = append(p.targets, t)
		}
	}
	g.receivers.hold(p.targets)
	return p, nil
}

// discard gives back parts that were never run. g.changes is held.
func (g *Group) discard(d *Definition, p *parts) {
	g.closeProbe(d.Name, p)
	g.receivers.release(p.targets)
	g.receivers.sweep(g.sorted())
}

// check makes the probe and the filter, and the actions that are not there yet.
// What it made is to be closed also if it fails. Sections that are not there
// were told of already. g.changes is held.
func (g *Group) check(d *Definition) (*parts, []wanted, error) {
	p := &parts{}
	if d.Trusted { // others may name no files
		p.secrets = g.secrets.of(d.probe)
	}
	var errs []error
	if d.probe.kind != "" {
		var err error
		if p.probe, err = g.newProbe(d); err != nil {
			errs = append(errs, err)
		}
	}
	if d.filter != nil && d.filter.kind != "" {
		errs = append(errs, p.setFilter(*d.filter))
	}
	targets, err := g.targets(d)
	return p, targets, errors.Join(append(errs, err)...)
}

func (g *Group) newProbe(d *Definition) (probe.Probe, error) {
	if g.cfg.Probes[d.probe.kind] == nil {
		return nil, unknownKind(d.probe, "probe", slices.Sorted(maps.Keys(g.cfg.Probes)))
	}
	env := g.cfg.ProbeEnv
	env.Restricted = !d.Trusted
	wrong := &faults{section: d.probe, family: "probe"}
	p, err := probe.New(g.cfg.Probes, d.probe.kind, wrong.decode, env)
	if err != nil {
		return nil, wrong.all(err)
	}
	return p, nil
}

func (p *parts) setFilter(s section) error {
	kinds := filters()
	kind, ok := kinds[s.kind]
	if !ok {
		return unknownKind(s, "filter", slices.Sorted(maps.Keys(kinds)))
	}
	wrong := &faults{section: s, family: "filter"}
	f, err := kind(wrong.decode)
	if err != nil {
		return wrong.all(fmt.Errorf("filter %s: %w", s.kind, err))
	}
	p.value, _ = f.(valueFilter)
	p.verdict, _ = f.(verdictFilter)
	return nil
}

// targets finds or makes the actions of a definition. g.changes is held.
func (g *Group) targets(d *Definition) ([]wanted, error) {
	var all []wanted
	var errs []error
	for _, s := range d.actions {
		if s.receiver == "" && s.kind == "" {
			continue // told already
		}
		w, err := g.target(d, s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, w)
	}
	return all, errors.Join(errs...)
}

func (g *Group) target(d *Definition, s section) (wanted, error) {
	if s.receiver != "" {
		if t := g.receivers.named(s.receiver); t != nil {
			return wanted{receiver: t}, nil
		}
		return wanted{}, at(s, g.receivers.unknown(s.receiver))
	}
	if !d.Trusted {
		return wanted{}, at(s, errReceiversOnly)
	}
	name, err := g.receivers.nameOf(s)
	if err != nil {
		// A value that JSON cannot say is of no key's type: let the kind name it.
		if _, wrong := g.newAction(s); wrong != nil {
			return wanted{}, wrong
		}
		return wanted{}, at(s, fmt.Errorf("action %s: %w", s.kind, err))
	}
	if t := g.receivers.inline[name]; t != nil {
		return wanted{receiver: t}, nil
	}
	m := made{s, g.secrets.of(s)} // before the action reads the files itself
	a, err := g.newAction(s)
	return wanted{name: name, action: a, made: m}, err
}

func (g *Group) newAction(s section) (Action, error) {
	if kinds := g.cfg.Delivery.Kinds(); !slices.Contains(kinds, s.kind) {
		return nil, unknownKind(s, "action", kinds)
	}
	wrong := &faults{section: s, family: "action"}
	a, err := g.cfg.Delivery.NewAction(s.kind, wrong.decode)
	if err != nil {
		return nil, wrong.all(fmt.Errorf("action %s: %w", s.kind, err))
	}
	return a, nil
}

// faults collects what is wrong with the keys of one section, so that each is
// told by itself, with its line.
type faults struct {
	section section
	family  string
	keys    []error
}

// decode decodes for the constructor of a kind.
func (f *faults) decode(target any) error {
	err := f.section.decode(target)
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		f.keys = many.Unwrap()
	}
	return err
}

// all returns the faults of the keys, or else what the constructor said.
func (f *faults) all(err error) error {
	if len(f.keys) == 0 {
		return &placedError{f.section.lineOf(strings.TrimPrefix(err.Error(), f.family+" "+f.section.kind+": ")), err}
	}
	var errs []error
	for _, key := range f.keys {
		errs = append(errs, at(f.section, fmt.Errorf("%s %s: %w", f.family, f.section.kind, key)))
	}
	return errors.Join(errs...)
}

// lineOf returns the line of the key that a sentence of a kind begins with, or of
// the section.
func (s section) lineOf(sentence string) int {
	words := strings.FieldsFunc(sentence, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	const first = 4 // "tls: reading ca_file" has the key as its third word
	path, table := s.path, s.tree
	for _, word := range words[:min(first, len(words))] {
		v, ok := table[word]
		if !ok {
			continue
		}
		path = join(path, word)
		if table, ok = v.(map[string]any); !ok {
			break
		}
	}
	return s.line(path)
}

// at gives an error the line of its section, unless it has one of its own.
func at(s section, err error) error {
	var key *keyError
	line := s.line(s.path)
	if errors.As(err, &key) {
		line = key.line
	}
	return &placedError{line, err}
}

// placedError is an error with its line.
type placedError struct {
	line int
	err  error
}

func (e *placedError) Error() string { return e.err.Error() }
func (e *placedError) Unwrap() error { return e.err }

// unknownKind says that there is no kind of the name that a section gives.
func unknownKind(s section, family string, kinds []string) error {
	path := join(s.path, "type")
	return at(s, &keyError{path, path, s.line(path), fmt.Errorf("unknown type of %s %q; %s", family, s.kind, oneOf(s.kind, kinds))})
}

// closeAside gives back what a probe holds that has run, while the caller goes on:
// no change waits for a target that takes its time to end a connection. g.changes
// is held.
func (g *Group) closeAside(name string, p *parts) {
	if g.closed {
		g.closeProbe(name, p) // nobody would wait for it
		return
	}
	g.probing.Go(func() { g.closeProbe(name, p) })
}

// closeProbe gives back what a probe holds. A panic of its hurts nobody else.
func (g *Group) closeProbe(name string, p *parts) {
	if p == nil || p.probe == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			g.log.Error("closing a probe panicked", "monitor", name, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	if err := p.probe.Close(); err != nil {
		g.log.Warn("closing a probe", "monitor", name, "err", err)
	}
}
