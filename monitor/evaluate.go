package monitor

import (
	"crypto/rand"
	"errors"
	"time"
)

// finish judges a measurement, if there is one, and tells what came of it. The
// parts are closed if the monitor was stopped while the probe ran.
func (r *runner) finish(p *pipeline, m *measurement) {
	told, stopped := r.complete(p, m)
	r.group.logChange(told)
	if stopped {
		r.group.closeProbe(r.def.Name, p)
	}
}

// settle ends a run. It returns what was told, if anything was, and whether the
// monitor was stopped meanwhile. The result is recorded and told under the lock,
// so that it never comes after the word that the monitor was stopped, nor an end
// before its failure.
func (r *runner) complete(p *pipeline, m *measurement) (told *Change, stopped bool) {
	r.group.verdictMu.RLock()
	defer r.group.verdictMu.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inUse, r.cancel = nil, nil
	r.busy.Store(false)
	if r.pipeline != p {
		return nil, true
	}
	if m == nil {
		return nil, false
	}
	r.logPanic(m)
	result, notice := r.evaluate(p, m)
	r.group.recorder.Record(result)
	if notice != nil {
		r.notify(p, *notice)
	}
	return notice, false
}

// logPanic logs the first of a series of panics. r.mu is held.
func (r *runner) logPanic(m *measurement) {
	var panicked *panicError
	if errors.As(m.err, &panicked) && !errors.As(r.lastErr, new(*panicError)) {
		r.group.log.Error("a probe panicked", "monitor", r.def.Name, "panic", panicked.value, "stack", string(panicked.stack))
	}
}

// tell hands a notice to the receivers. r.mu is held.
func (r *runner) notify(p *pipeline, n Change) {
	r.group.cfg.Delivery.Changed() // the incident, even if nobody is told
	for _, t := range p.receivers {
		t.Enqueue(n)
	}
	if n.Event != Recover {
		return
	}
	for _, t := range r.former {
		t.Enqueue(n)
	}
	r.former = nil
}

// take judges a measurement. r.mu is held.
func (r *runner) evaluate(p *pipeline, m *measurement) (Result, *Change) {
	now := time.Now()
	g, known := r.verdict(p, m)
	r.probes++
	r.group.count.probes.Add(1)
	r.lastProbe, r.lastErr, r.detail = m.at, m.err, m.Detail
	before := r.judge.state
	var notice *Change
	wrong := ""
	if known {
		if m.err == nil {
			wrong = r.def.Thresholds.violation(r.value)
		}
		if g == bad {
			r.failedProbes++
			r.group.count.failures.Add(1)
		}
		c, confirming := r.judge.observe(g, now)
		notice = r.newChange(c, g, now)
		if notice != nil && g == bad {
			notice.Error = reasonOf(m.err, wrong)
		}
		if confirming && r.def.RetryInterval < r.def.Interval {
			r.group.scheduler.moveEarlier(r.job, now.Add(r.def.RetryInterval))
		}
	}
	if before != r.judge.state {
		r.since = now
	}
	return Result{
		Name: r.def.Name, State: r.judge.state, Value: r.value, Err: m.err, Violation: wrong,
		Detail: m.Detail, Phases: m.Phases, At: m.at, Took: m.took, Interval: r.def.Interval,
	}, notice
}

// gradeOf filters a measurement and judges it by the thresholds; known is false
// while a filter has too few values to tell. r.mu is held.
func (r *runner) verdict(p *pipeline, m *measurement) (g grade, known bool) {
	r.value = m.Value
	switch {
	case m.err != nil:
		g = bad
	case p.value != nil:
		v, ok := p.value.value(m.Value, m.at)
		if !ok {
			return good, false
		}
		r.value = v
		g = r.def.Thresholds.grade(v)
	default:
		g = r.def.Thresholds.grade(m.Value)
	}
	if g == good && m.Warning {
		g = doubtful
	}
	if p.verdict != nil {
		switch still := p.verdict.verdict(g == bad); {
		case still:
			g = bad
		case g == bad:
			g = good
		}
	}
	return g, true
}

// notice makes the notice of a change, if there is something to tell. r.mu is
// held.
func (r *runner) newChange(c change, g grade, now time.Time) *Change {
	if c == unchanged && r.judge.state == Failing && g == bad && r.renotify {
		c = retold
	}
	switch {
	case c == failed:
		r.incident, r.failedAt, r.incidentFailures = rand.Text(), now, r.judge.thresholds.FailuresBeforeAlert
	case r.judge.state == Failing && g == bad:
		r.incidentFailures++
	}
	n := Change{
		Monitor: r.def.Name, Value: r.value, Time: now, Labels: r.def.Labels,
	}
	switch c {
	case unchanged:
		return nil
	case failed, retold:
		n.Event = Fail
	case reminded:
		n.Event = Repeat
	case recovered:
		// Of a failure before a restart only the wall clock is known, which may have
		// been set back.
		n.Event, n.Duration = Recover, max(0, now.Sub(r.failedAt))
	}
	r.renotify = false
	r.seq++
	n.Incident, n.Seq, n.Since, n.Failures = r.incident, r.seq, r.failedAt, r.incidentFailures
	return &n
}

// reasonOf says why a sample is bad: the probe's error, or what is wrong with its
// value.
func reasonOf(err error, wrong string) string {
	if err != nil {
		return err.Error()
	}
	return wrong
}
