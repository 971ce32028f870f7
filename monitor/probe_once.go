package monitor

import (
	"context"
	"errors"
)

// SingleResult is the result of one probe, outside of the schedule.
type SingleResult struct {
	// Result has the State OK, Warning or Failing by this one value. It is Unknown
	// if the filter needs more values.
	Result
	// Filter is the kind of the filter, or empty. One probe cannot show its effect.
	Filter string
}

// ProbeOnce runs the probe of a definition once and judges its value. It records
// nothing, notifies nobody and ignores the actions.
func (g *Group) ProbeOnce(ctx context.Context, d *Definition) (SingleResult, error) {
	p := &pipeline{}
	single := SingleResult{}
	var filterErr, probeErr error
	if d.filter != nil {
		single.Filter = d.filter.Kind
		filterErr = p.setFilter(*d.filter)
	}
	p.verdict = nil // a filter that counts failures would hide this one
	p.probe, probeErr = g.newProbe(d)
	defer g.closeProbe(d.Name, p)
	if err := errors.Join(probeErr, filterErr); err != nil {
		return single, err
	}
	r := g.newRunner(d, 0)
	ctx, cancel := withProbeTimeout(ctx, r.deadline())
	defer cancel()
	m := measure(ctx, p.probe, g.clock)
	state := r.verdict(p, &m)
	single.Result = Result{
		Name: d.Name, State: state, Value: r.value, Err: m.err, Detail: m.Detail, Phases: m.Phases,
		At: m.at, Took: m.took, Interval: d.Interval,
	}
	if state != Unknown && m.err == nil {
		single.Violation = r.violation(state, &m)
	}
	return single, nil
}
