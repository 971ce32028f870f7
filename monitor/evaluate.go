package monitor

import (
	"crypto/rand"
	"errors"
	"time"
)

// finish evaluates a measurement, if there is one. It closes the pipeline if the
// monitor was stopped while the probe ran.
func (r *runner) finish(p *pipeline, m *measurement) {
	change, stopped := r.complete(p, m)
	r.group.logChange(change)
	if stopped {
		r.group.closeProbe(r.def.Name, p)
	}
}

// complete ends a run of the probe. It returns the change that it notified of, or
// nil, and whether the monitor was stopped meanwhile. Recording and notifying
// under the lock keeps them in order: no result follows Stopped, no recovery
// precedes its failure.
func (r *runner) complete(p *pipeline, m *measurement) (change *Change, stopped bool) {
	r.group.verdictMu.RLock()
	defer r.group.verdictMu.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inUse, r.cancel = nil, nil
	r.busy.Store(false)
	if r.pipeline != p {
		return nil, true
	}
	if m == nil || r.ignore(m) {
		return nil, false
	}
	r.logPanic(m)
	result, change := r.evaluate(p, m)
	r.group.recorder.Record(result)
	if change != nil {
		r.notify(p, *change)
	}
	return change, false
}

// logPanic logs the first of consecutive panics. r.mu is held.
func (r *runner) logPanic(m *measurement) {
	var panicked *panicError
	if errors.As(m.err, &panicked) && !errors.As(r.lastErr, new(*panicError)) {
		r.group.log.Error("a probe panicked", "monitor", r.def.Name, "panic", panicked.value, "stack", string(panicked.stack))
	}
}

// notify passes a change to the receivers. r.mu is held.
func (r *runner) notify(p *pipeline, c Change) {
	r.group.cfg.Delivery.Changed() // an incident opens or ends even without receivers
	for _, t := range p.receivers {
		t.Enqueue(c)
	}
	if c.Event != Recover {
		return
	}
	for _, t := range r.former {
		t.Enqueue(c)
	}
	r.former = nil
}

// evaluate updates the state of the monitor from a measurement. r.mu is held.
func (r *runner) evaluate(p *pipeline, m *measurement) (Result, *Change) {
	wall, now := time.Now(), r.group.clock.Now()
	verdict := r.verdict(p, m)
	r.probes++
	r.group.count.probes.Add(1)
	r.lastProbe, r.lastErr, r.detail, r.recalled = m.at, m.err, m.Detail, nil
	r.setLast(verdict, m)
	before := r.judge.state
	var change *Change
	violation := ""
	if verdict != Unknown {
		if m.err == nil {
			violation = r.violation(verdict, m)
		}
		if verdict == Failing {
			r.failedProbes++
			r.group.count.failures.Add(1)
		}
		event, confirming := r.judge.observe(verdict, now)
		r.announce(p, verdict, event)
		change = r.newChange(event, verdict, wall)
		if change != nil && r.judge.bad(verdict) {
			change.Error = failureReason(m.err, violation, m)
		}
		if confirming && r.def.RetryInterval < r.def.Interval {
			r.group.scheduler.moveEarlier(r.job, now.Add(r.def.RetryInterval))
		}
	}
	if before != r.judge.state {
		r.since = wall
	}
	return Result{
		Name: r.def.Name, State: r.judge.state, Value: r.value, Err: m.err, Violation: violation,
		Detail: m.Detail, Phases: m.Phases, At: m.at, Took: m.took, Interval: r.def.Interval,
	}, change
}

// verdict filters a measurement and compares it with the thresholds. It is
// Unknown while a filter has too few values. r.mu is held.
func (r *runner) verdict(p *pipeline, m *measurement) State {
	r.value = m.Value
	verdict := Failing
	switch {
	case m.err != nil:
	case m.Pending:
		return Unknown
	case m.Stopped:
		verdict = OK
	case p.value != nil:
		v, ok := p.value.value(m.Value, m.began)
		if !ok {
			return Unknown
		}
		r.value = v
		verdict = r.def.Thresholds.verdict(v)
	default:
		verdict = r.def.Thresholds.verdict(m.Value)
	}
	if verdict == OK && m.Warning {
		verdict = Warning
	}
	if p.verdict == nil {
		return verdict
	}
	bad := r.judge.bad(verdict)
	switch failed := p.verdict.verdict(bad); {
	case failed && !bad:
		return Failing
	case bad && !failed:
		return OK
	}
	return verdict
}

// newChange returns the change to notify of, or nil. now is that of the wall clock.
// r.mu is held.
func (r *runner) newChange(event Event, verdict State, now time.Time) *Change {
	switch failing := r.judge.state == Failing && r.judge.bad(verdict); {
	case event == Fail:
		r.incident, r.incidentFailures = rand.Text(), r.judge.thresholds.FailuresBeforeAlert
		r.failedAt, r.failedSince = now, r.group.clock.Elapsed()
	case failing:
		r.incidentFailures++
		if event == "" && r.renotify {
			event = Fail
		}
	}
	if event == "" {
		return nil
	}
	r.renotify = false
	r.seq++
	c := Change{
		Monitor: r.def.Name, Event: event, Value: r.value, Time: now, Labels: r.def.Labels,
		Incident: r.incident, Seq: r.seq, Since: r.failedAt, Failures: r.incidentFailures,
	}
	if event == Recover {
		c.Duration = r.group.clock.Elapsed() - r.failedSince
	}
	return &c
}

// violation returns why a value is not OK: the target's own words if it has any, or else
// the threshold that it violates.
func (r *runner) violation(verdict State, m *measurement) string {
	switch {
	case m.Stopped || verdict == OK:
		return ""
	case m.Cause != "":
		return m.Cause
	}
	return r.def.Thresholds.violation(r.value)
}

// failureReason returns why a result is a failure. What the probe observed is the
// cause of a threshold's violation.
func failureReason(err error, violation string, m *measurement) string {
	switch {
	case err != nil:
		return err.Error()
	case violation != "" && m.Detail != "" && violation != m.Cause:
		return violation + ": " + m.Detail
	}
	return violation
}
