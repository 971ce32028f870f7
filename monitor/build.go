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

// errReceiversOnly is the error for an inline action in the definition of an
// operator.
var errReceiversOnly = errors.New("an action of a monitor that an operator registers must be the name of a [[receiver]] in a local file")

// build builds the pipeline of a definition and retains its receivers. The caller
// runs the pipeline or discards it. Constructors of kinds read files, but open no
// connections. g.configMu is held.
func (g *Group) build(d *Definition) (*pipeline, error) {
	p, specs, err := g.prepare(d)
	if err != nil {
		g.closeProbe(d.Name, p)
		return nil, err
	}
	// Receivers are added only after all errors are known.
	for _, spec := range specs {
		t := g.receivers.resolve(spec)
		if !slices.Contains(p.receivers, t) {
			p.receivers = append(p.receivers, t)
		}
	}
	g.receivers.retain(p.receivers)
	return p, nil
}

// discard closes a pipeline that was never run. g.configMu is held.
func (g *Group) discard(d *Definition, p *pipeline) {
	g.closeProbe(d.Name, p)
	g.receivers.release(p.receivers)
	g.receivers.removeUnused(g.sorted())
}

// prepare builds the probe, the filter and new actions, and changes nothing else.
// The caller closes the probe even if prepare fails. Missing sections were reported
// before. g.configMu is held.
func (g *Group) prepare(d *Definition) (*pipeline, []receiverSpec, error) {
	p := &pipeline{}
	if d.Trusted { // others may not name files
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
	specs, err := g.resolveActions(d)
	return p, specs, errors.Join(append(errs, err)...)
}

func (g *Group) newProbe(d *Definition) (probe.Probe, error) {
	if g.cfg.Probes[d.probe.Kind] == nil {
		return nil, document.UnknownKind(d.probe, "probe", slices.Sorted(maps.Keys(g.cfg.Probes)))
	}
	env := g.cfg.ProbeEnv
	env.Restricted, env.Interval = !d.Trusted, d.Interval
	decoder := document.NewSectionDecoder(d.probe, "probe")
	p, err := probe.New(g.cfg.Probes, d.probe.Kind, decoder.Decode, env)
	if err != nil {
		return nil, decoder.Explain(err)
	}
	return p, nil
}

func (p *pipeline) setFilter(s document.Section) error {
	kinds := filters()
	kind, ok := kinds[s.Kind]
	if !ok {
		return document.UnknownKind(s, "filter", slices.Sorted(maps.Keys(kinds)))
	}
	decoder := document.NewSectionDecoder(s, "filter")
	f, err := kind(decoder.Decode)
	if err != nil {
		return decoder.Explain(fmt.Errorf("filter %s: %w", s.Kind, err))
	}
	p.value, _ = f.(valueFilter)
	p.verdict, _ = f.(verdictFilter)
	return nil
}

// resolveActions returns the receivers of the actions of a definition. g.configMu
// is held.
func (g *Group) resolveActions(d *Definition) ([]receiverSpec, error) {
	var specs []receiverSpec
	var errs []error
	for _, s := range d.actions {
		if s.Receiver == "" && s.Kind == "" {
			continue // reported before
		}
		spec, err := g.resolveAction(d, s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		specs = append(specs, spec)
	}
	return specs, errors.Join(errs...)
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
		// No key of a kind takes a value that JSON cannot represent. The error of the
		// kind names the key.
		if _, kindErr := g.newAction(s); kindErr != nil {
			return receiverSpec{}, kindErr
		}
		return receiverSpec{}, document.WithLine(s, fmt.Errorf("action %s: %w", s.Kind, err))
	}
	if t := g.receivers.inline[name]; t != nil {
		return receiverSpec{existing: t}, nil
	}
	// The fingerprint is older than what the action reads, so that a change in between
	// is noticed.
	source := actionSource{s, g.readFiles.section(s)}
	a, err := g.newAction(s)
	return receiverSpec{name: name, action: a, source: source}, err
}

func (g *Group) newAction(s document.Section) (Action, error) {
	if kinds := g.cfg.Delivery.Kinds(); !slices.Contains(kinds, s.Kind) {
		return nil, document.UnknownKind(s, "action", kinds)
	}
	decoder := document.NewSectionDecoder(s, "action")
	a, err := g.cfg.Delivery.NewAction(s.Kind, decoder.Decode)
	if err != nil {
		return nil, decoder.Explain(fmt.Errorf("action %s: %w", s.Kind, err))
	}
	if w, ok := a.(interface{ Warnings() []error }); ok {
		for _, warning := range w.Warnings() {
			g.warned = append(g.warned, decoder.Explain(fmt.Errorf("action %s: %w", s.Kind, warning)))
		}
	}
	return a, nil
}

// takeWarnings returns the warnings of the actions that were made since the last call.
// g.configMu is held.
func (g *Group) takeWarnings(file, monitor string) []*document.Problem {
	var all []*document.Problem
	for _, warning := range g.warned {
		for _, p := range document.ProblemsOf(file, monitor, warning) {
			p.Warning = true
			all = append(all, p)
		}
	}
	g.warned = nil
	return all
}

// closeInBackground closes a used probe. A target that is slow to end a connection
// must not delay a change. g.configMu is held.
func (g *Group) closeInBackground(name string, p *pipeline) {
	if g.closed {
		g.closeProbe(name, p) // Run does not wait for it any more
		return
	}
	g.probing.Go(func() { g.closeProbe(name, p) })
}

// closeProbe closes the probe of a pipeline, if any. A panic affects no other
// monitor.
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
		g.log.Warn("closing a probe failed", "monitor", name, "err", err)
	}
}
