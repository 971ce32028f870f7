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
	env := g.cfg.ProbeEnv
	env.Restricted = !d.Trusted
	p := &parts{}
	var errs []error
	var err error
	if p.probe, err = probe.New(g.cfg.Probes, d.probe.kind, d.probe.decode, env); err != nil {
		errs = append(errs, at(d.probe, err))
	}
	if d.filter != nil {
		errs = append(errs, p.setFilter(*d.filter))
	}
	targets, err := g.targets(d)
	if err = errors.Join(append(errs, err)...); err != nil {
		g.closeProbe(d.Name, p)
		return nil, err
	}
	// Receivers change only once everything is known to be good.
	for _, w := range targets {
		if w.action != nil {
			w.receiver = g.cfg.Deliverer.Add(w.name, w.action)
		}
		p.targets = append(p.targets, w.receiver)
	}
	return p, nil
}

func (p *parts) setFilter(s section) error {
	kinds := filters()
	kind, ok := kinds[s.kind]
	if !ok {
		return at(s, fmt.Errorf("unknown type of filter %q; known are %s", s.kind, known(kinds)))
	}
	f, err := kind(s.decode)
	if err != nil {
		return at(s, fmt.Errorf("filter %s: %w", s.kind, err))
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
	a, err := kind(s.decode, g.cfg.ActionEnv)
	if err != nil {
		return nil, at(s, fmt.Errorf("action %s: %w", s.kind, err))
	}
	return a, nil
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
