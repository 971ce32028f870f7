package monitor

import (
	"context"
	"errors"
)

// Trial is what one probe came to, for somebody who tries a definition.
type SingleResult struct {
	// Result has the State OK, Warning or Failing by this one value, or Unknown if
	// the filter makes nothing of one value.
	Result
	// Filter is the kind of the filter, of which one probe cannot show what it
	// does; empty without one.
	Filter string
}

// Try runs the probe of a definition once and judges its value. Nothing is
// recorded, nobody is told, and actions are not looked at.
func (g *Group) ProbeOnce(ctx context.Context, d *Definition) (SingleResult, error) {
	p := &pipeline{}
	var err error
	t := SingleResult{}
	if d.filter != nil {
		t.Filter = d.filter.Kind
		err = p.setFilter(*d.filter)
	}
	p.verdict = nil // one that counts failures would hide this one
	var wrong error
	p.probe, wrong = g.newProbe(d)
	defer g.closeProbe(d.Name, p)
	if err = errors.Join(wrong, err); err != nil {
		return t, err
	}
	r := g.newRunner(d, 0)
	ctx, cancel := withProbeTimeout(ctx, r.deadline())
	defer cancel()
	m := measure(ctx, p.probe)
	grade, known := r.verdict(p, &m)
	t.Result = Result{
		Name: d.Name, State: Failing, Value: r.value, Err: m.err, Detail: m.Detail, Phases: m.Phases,
		At: m.at, Took: m.took, Interval: d.Interval,
	}
	switch {
	case !known:
		t.State = Unknown
	case grade != bad:
		t.State = calm(grade)
	}
	if known && m.err == nil {
		t.Violation = d.Thresholds.violation(r.value)
	}
	return t, nil
}
