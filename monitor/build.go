package monitor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/probe"
)

// errReceiversOnly is what an operator is told who writes an action out.
var errReceiversOnly = errors.New("an action of a monitor that an operator registers must be the name of a [[receiver]] in a local file")

// build makes the parts of a definition. Constructors of kinds do no I/O but
// reading the files that their keys name. g.changes is held.
func (g *Group) build(d *Definition) (*parts, error) {
	p, err := g.check(d)
	if err != nil {
		g.closeProbe(d.Name, p)
		return nil, err
	}
	targets, _ := g.targets(d)
	// Receivers change only once everything is known to be good.
	for _, w := range targets {
		if w.action != nil {
			w.receiver = g.cfg.Deliverer.Add(w.name, w.action)
		}
		p.targets = append(p.targets, w.receiver)
	}
	return p, nil
}

// check makes the probe and the filter, and proves that the actions can be made.
// What it made is to be closed also if it fails. Sections that are not there
// were told of already.
func (g *Group) check(d *Definition) (*parts, error) {
	env := g.cfg.ProbeEnv
	env.Restricted = !d.Trusted
	p := &parts{}
	var errs []error
	if d.probe.kind != "" {
		var err error
		wrong := &faults{section: d.probe, family: "probe"}
		if p.probe, err = probe.New(g.cfg.Probes, d.probe.kind, wrong.decode, env); err != nil {
			errs = append(errs, wrong.all(err))
		}
	}
	if d.filter != nil && d.filter.kind != "" {
		errs = append(errs, p.setFilter(*d.filter))
	}
	_, err := g.targets(d)
	return p, errors.Join(append(errs, err)...)
}

func (p *parts) setFilter(s section) error {
	kinds := filters()
	kind, ok := kinds[s.kind]
	if !ok {
		return at(s, fmt.Errorf("unknown type of filter %q; known are %s", s.kind, known(kinds)))
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

// wanted is a receiver that a definition needs: one of a file, or one to be made
// of its own action.
type wanted struct {
	receiver *action.Receiver
	name     string
	action   action.Action
}

// targets finds or makes the actions of a definition. g.changes is held.
func (g *Group) targets(d *Definition) ([]wanted, error) {
	var all []wanted
	var errs []error
	for i, s := range d.actions {
		var w wanted
		switch {
		case s.receiver == "" && s.kind == "":
			continue // told already
		case s.receiver == "" && !d.Trusted:
			errs = append(errs, at(s, errReceiversOnly))
		case s.receiver == "":
			a, err := g.newAction(s)
			if err != nil {
				errs = append(errs, err)
			}
			w = wanted{name: ownReceiver(d.Name, i, s.kind), action: a}
		default:
			if w.receiver = g.receivers[s.receiver]; w.receiver == nil {
				errs = append(errs, at(s, fmt.Errorf("receiver %q is not defined in any file", s.receiver)))
			}
		}
		all = append(all, w)
	}
	return all, errors.Join(errs...)
}

// ownReceiver names the receiver of an action that a monitor wrote out. A name
// of a [[receiver]] holds no line break, so the two never meet.
func ownReceiver(monitor string, i int, kind string) string {
	return fmt.Sprintf("%s\n%d %s", monitor, i+1, kind)
}

func (g *Group) newAction(s section) (action.Action, error) {
	kind, ok := g.cfg.Actions[s.kind]
	if !ok {
		return nil, at(s, fmt.Errorf("unknown type of action %q; known are %s", s.kind, known(g.cfg.Actions)))
	}
	wrong := &faults{section: s, family: "action"}
	a, err := kind(wrong.decode, g.cfg.ActionEnv)
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
		return at(f.section, err)
	}
	var errs []error
	for _, key := range f.keys {
		errs = append(errs, at(f.section, fmt.Errorf("%s %s: %w", f.family, f.section.kind, key)))
	}
	return errors.Join(errs...)
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

func known[V any](kinds map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
}

// closeProbe gives back what a probe holds.
func (g *Group) closeProbe(name string, p *parts) {
	if p == nil || p.probe == nil {
		return
	}
	if err := p.probe.Close(); err != nil {
		g.log.Warn("closing a probe", "monitor", name, "err", err)
	}
}
