package monitor

import (
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/probe"
)

// errReceiversOnly is what an operator is told who writes an action out.
var errReceiversOnly = errors.New("an action of a monitor that an operator registers must be the name of a [[receiver]] in a local file")

// build makes the parts of a definition. Constructors of kinds do no I/O but
// reading the files that their keys name. What it returns holds its receivers:
// it is to be run, or given back by discard. g.changes is held.
func (g *Group) build(d *Definition) (*pipeline, error) {
	p, wanted, err := g.prepare(d)
	if err != nil {
		g.closeProbe(d.Name, p)
		return nil, err
	}
	// Receivers change only once everything is known to be good.
	for _, w := range wanted {
		t := g.receivers.resolve(w)
		if !slices.Contains(p.receivers, t) {
			p.receivers = append(p.receivers, t)
		}
	}
	g.receivers.retain(p.receivers)
	return p, nil
}

// discard gives back parts that were never run. g.changes is held.
func (g *Group) discard(d *Definition, p *pipeline) {
	g.closeProbe(d.Name, p)
	g.receivers.release(p.receivers)
	g.receivers.removeUnused(g.sorted())
}

// check makes the probe and the filter, and the actions that are not there yet.
// What it made is to be closed also if it fails. Sections that are not there
// were told of already. g.changes is held.
func (g *Group) prepare(d *Definition) (*pipeline, []receiverSpec, error) {
	p := &pipeline{}
	if d.Trusted { // others may name no files
		p.fingerprint = g.readFiles.section(d.probe)
	}
	var errs []error
	if d.probe.Kind != "" {
		var err error
		if p.probe, err = g.newProbe(d); err != nil {
			errs = append(errs, err)
		}
	}
	if d.filter != nil && d.filter.Kind != "" {
		errs = append(errs, p.setFilter(*d.filter))
	}
	targets, err := g.resolveActions(d)
	return p, targets, errors.Join(append(errs, err)...)
}

func (g *Group) newProbe(d *Definition) (probe.Probe, error) {
	if g.cfg.Probes[d.probe.Kind] == nil {
		return nil, document.UnknownKind(d.probe, "probe", slices.Sorted(maps.Keys(g.cfg.Probes)))
	}
	env := g.cfg.ProbeEnv
	env.Restricted = !d.Trusted
	wrong := document.NewSectionDecoder(d.probe, "probe")
	p, err := probe.New(g.cfg.Probes, d.probe.Kind, wrong.Decode, env)
	if err != nil {
		return nil, wrong.Explain(err)
	}
	return p, nil
}

func (p *pipeline) setFilter(s document.Section) error {
	kinds := filters()
	kind, ok := kinds[s.Kind]
	if !ok {
		return document.UnknownKind(s, "filter", slices.Sorted(maps.Keys(kinds)))
	}
	wrong := document.NewSectionDecoder(s, "filter")
	f, err := kind(wrong.Decode)
	if err != nil {
		return wrong.Explain(fmt.Errorf("filter %s: %w", s.Kind, err))
	}
	p.value, _ = f.(valueFilter)
	p.verdict, _ = f.(verdictFilter)
	return nil
}

// targets finds or makes the actions of a definition. g.changes is held.
func (g *Group) resolveActions(d *Definition) ([]receiverSpec, error) {
	var all []receiverSpec
	var errs []error
	for _, s := range d.actions {
		if s.Receiver == "" && s.Kind == "" {
			continue // told already
		}
		w, err := g.resolveAction(d, s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, w)
	}
	return all, errors.Join(errs...)
}

func (g *Group) resolveAction(d *Definition, s document.Section) (receiverSpec, error) {
	if s.Receiver != "" {
		if t := g.receivers.lookup(s.Receiver); t != nil {
			return receiverSpec{existing: t}, nil
		}
		return receiverSpec{}, document.WithLine(s, g.receivers.unknown(s.Receiver))
	}
	if !d.Trusted {
		return receiverSpec{}, document.WithLine(s, errReceiversOnly)
	}
	name, err := g.receivers.inlineName(s)
	if err != nil {
		// A value that JSON cannot say is of no key's type: let the kind name it.
		if _, wrong := g.newAction(s); wrong != nil {
			return receiverSpec{}, wrong
		}
		return receiverSpec{}, document.WithLine(s, fmt.Errorf("action %s: %w", s.Kind, err))
	}
	if t := g.receivers.inline[name]; t != nil {
		return receiverSpec{existing: t}, nil
	}
	m := actionSource{s, g.readFiles.section(s)} // before the action reads the files itself
	a, err := g.newAction(s)
	return receiverSpec{name: name, action: a, source: m}, err
}

func (g *Group) newAction(s document.Section) (Action, error) {
	if kinds := g.cfg.Delivery.Kinds(); !slices.Contains(kinds, s.Kind) {
		return nil, document.UnknownKind(s, "action", kinds)
	}
	wrong := document.NewSectionDecoder(s, "action")
	a, err := g.cfg.Delivery.NewAction(s.Kind, wrong.Decode)
	if err != nil {
		return nil, wrong.Explain(fmt.Errorf("action %s: %w", s.Kind, err))
	}
	return a, nil
}

// closeAside gives back what a probe holds that has run, while the caller goes on:
// no change waits for a target that takes its time to end a connection. g.changes
// is held.
func (g *Group) closeInBackground(name string, p *pipeline) {
	if g.closed {
		g.closeProbe(name, p) // nobody would wait for it
		return
	}
	g.probing.Go(func() { g.closeProbe(name, p) })
}

// closeProbe gives back what a probe holds. A panic of its hurts nobody else.
func (g *Group) closeProbe(name string, p *pipeline) {
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
