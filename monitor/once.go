package monitor

import "context"

// Try runs the probe of a definition once and judges its value, for somebody who
// tries a file before trusting it. The state is OK, Warning or Failing by this
// one value; nothing is recorded and nobody is told.
func (g *Group) Try(ctx context.Context, d *Definition) (Result, error) {
	g.changes.Lock()
	p, _, err := g.check(d)
	g.changes.Unlock()
	defer g.closeProbe(d.Name, p)
	if err != nil {
		return Result{}, err
	}
	r := g.newRunner(d, 0)
	ctx, cancel := within(ctx, r.deadline())
	defer cancel()
	m := measure(ctx, p.probe)
	state := Failing
	if grade, known := r.gradeOf(p, &m); !known || grade != bad {
		state = calm(grade)
	}
	wrong := ""
	if m.err == nil {
		wrong = d.Thresholds.wrong(r.value)
	}
	return Result{
		Name: d.Name, State: state, Value: r.value, Err: m.err, Wrong: wrong, Detail: m.Detail, Phases: m.Phases,
		At: m.at, Took: m.took, Interval: d.Interval,
	}, nil
}
