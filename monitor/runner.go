package monitor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/probe"
)

// Result is what one probe of a monitor came to.
type Result struct {
	// Name of the monitor and the State it is judged to be after the probe.
	Name  string
	State State
	// Value as filtered; it means nothing if Err is set and the kind gives no
	// value for that.
	Value float64
	// Err is why the probe itself failed. Wrong says which threshold the value of
	// one that did not fail is beyond, and is empty if it is beyond none.
	Err   error
	Wrong string
	// Detail is what the probe saw, for people.
	Detail string
	Phases []probe.Phase
	// At is when the probe began, Took how long it ran.
	At   time.Time
	Took time.Duration
	// Interval to the next probe, at most.
	Interval time.Duration
}

// Recorder takes every result, in order for each monitor, and as the last one
// with the State Stopped when a monitor runs no more. It must neither block nor
// call the Group.
type Recorder interface{ Record(r Result) }

// runner runs one monitor.
type runner struct {
	id    int64
	def   *Definition
	group *Group
	job   *job

	mu sync.Mutex // guards all that follows
	// parts are there while the monitor runs.
	parts *parts
	// stopped is closed when the monitor is stopped; nil if its kind is not bound.
	stopped chan struct{}
	// last are the receivers of the newest parts. owed are those of former
	// definitions that were told of the open incident: they hear of its end too.
	last, owed []*action.Receiver
	// inUse are the parts that a probe runs with now, perhaps older ones than
	// parts. busy is set meanwhile, and shared with the runner that this one
	// replaced, so that a monitor never has two probes at a time.
	inUse *parts
	busy  *atomic.Bool
	// cancel ends the probe that runs; nil while none does.
	cancel context.CancelFunc
	// origin is a point of the steady phase.
	origin time.Time
	// retell is set when receivers may have come that do not know of the open
	// incident.
	retell bool

	judge     judge
	incident  string
	failedAt  time.Time // monotonic
	failures  int       // failed probes of the incident
	seq       int64
	since     time.Time
	lastProbe time.Time
	value     float64
	lastErr   error
	detail    string

	probes, failed, missed int64
}

// parts are what a definition is built into.
type parts struct {
	probe   probe.Probe
	value   valueFilter
	verdict verdictFilter
	targets []*action.Receiver
	// secrets stands for what was in the files that the probe read, see
	// fingerprints.
	secrets string
}

// begin is called by the scheduler when a probe is due, late after due.
func (r *runner) begin(due time.Time, late time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parts == nil {
		return
	}
	if r.origin.IsZero() {
		r.origin = due
	}
	// The next tick is fixed before the probe runs, from a fixed origin, so that
	// neither long probes nor retries move the phase.
	next := r.tickAfter(due.Add(late))
	r.miss(int64(next.Sub(r.tickAfter(due)) / r.def.Interval))
	r.group.scheduler.at(r.job, next)
	if !r.busy.CompareAndSwap(false, true) {
		r.miss(1)
		return
	}
	r.inUse = r.parts
	r.group.probing.Add(1)
	p, stopped := r.parts, r.stopped
	r.group.workers.run(func() { r.run(p, stopped, due) })
}

// miss counts probes that were not made. r.mu is held.
func (r *runner) miss(n int64) {
	r.missed += n
	r.group.count.missed.Add(n)
}

// tickAfter returns the first point of the steady phase after t.
func (r *runner) tickAfter(t time.Time) time.Time {
	n := t.Sub(r.origin)/r.def.Interval + 1
	return r.origin.Add(n * r.def.Interval)
}

// run makes one probe, which was due at a time, and hands on what came of it. A
// probe that was cut short by a stop says nothing about its target.
func (r *runner) run(p *parts, stopped <-chan struct{}, due time.Time) {
	defer r.group.probing.Done()
	release, ok := r.group.acquire(r.def.probe.kind, stopped)
	if !ok {
		r.finish(p, nil)
		return
	}
	ctx, cancel := within(context.Background(), r.deadline())
	defer cancel()
	var m *measurement
	if r.cancels(p, cancel) {
		r.group.count.began(due, time.Now())
		measured := measure(ctx, p.probe)
		m = &measured
		r.group.count.running.Add(-1)
	}
	release()
	r.finish(p, m)
}

// cancels has a stop of the monitor end the probe that is about to run, unless
// it was stopped already.
func (r *runner) cancels(p *parts, cancel context.CancelFunc) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parts != p {
		return false
	}
	r.cancel = cancel
	return true
}

// deadline leaves a twentieth of the interval between the end of a probe and
// the next one.
func (r *runner) deadline() time.Duration {
	return min(r.def.Timeout, r.def.Interval-r.def.Interval/20)
}

// measurement is one probe's answer.
type measurement struct {
	probe.Result
	err  error
	at   time.Time
	took time.Duration
}

// noAnswer is why a probe ends at its deadline.
type noAnswer time.Duration

func (e noAnswer) Error() string { return fmt.Sprintf("no answer within %v", time.Duration(e)) }

// within returns a context that ends after the time that a probe has.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, noAnswer(timeout))
}

// measure runs a probe. A panic is a failure of the probe.
func measure(ctx context.Context, p probe.Probe) (m measurement) {
	m.at = time.Now()
	defer func() {
		m.took = time.Since(m.at)
		if v := recover(); v != nil {
			m.err = &panicError{v, debug.Stack()}
		}
	}()
	m.Result, m.err = p.Probe(ctx)
	if m.err == nil && (math.IsNaN(m.Value) || math.IsInf(m.Value, 0)) {
		m.err = fmt.Errorf("invalid value %v", m.Value)
	}
	return m
}

// panicError is a panic of a probe.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("the probe panicked: %v", e.value) }

// finish judges a measurement, if there is one, and tells what came of it. The
// parts are closed if the monitor was stopped while the probe ran.
func (r *runner) finish(p *parts, m *measurement) {
	told, stopped := r.settle(p, m)
	r.group.logChange(told)
	if stopped {
		r.group.closeProbe(r.def.Name, p)
	}
}

// settle ends a run. It returns what was told, if anything was, and whether the
// monitor was stopped meanwhile. The result is recorded and told under the lock,
// so that it never comes after the word that the monitor was stopped, nor an end
// before its failure.
func (r *runner) settle(p *parts, m *measurement) (told *action.Notice, stopped bool) {
	r.group.telling.RLock()
	defer r.group.telling.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inUse, r.cancel = nil, nil
	r.busy.Store(false)
	if r.parts != p {
		return nil, true
	}
	if m == nil {
		return nil, false
	}
	r.logPanic(m)
	result, notice := r.take(p, m)
	r.group.recorder.Record(result)
	if notice != nil {
		r.tell(p, *notice)
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
func (r *runner) tell(p *parts, n action.Notice) {
	r.group.cfg.Deliverer.Changed() // the incident, even if nobody is told
	for _, t := range p.targets {
		t.Enqueue(n)
	}
	if n.Event != action.Recover {
		return
	}
	for _, t := range r.owed {
		t.Enqueue(n)
	}
	r.owed = nil
}

// take judges a measurement. r.mu is held.
func (r *runner) take(p *parts, m *measurement) (Result, *action.Notice) {
	now := time.Now()
	g, known := r.gradeOf(p, m)
	r.probes++
	r.group.count.probes.Add(1)
	r.lastProbe, r.lastErr, r.detail = m.at, m.err, m.Detail
	before := r.judge.state
	var notice *action.Notice
	wrong := ""
	if known {
		if m.err == nil {
			wrong = r.def.Thresholds.wrong(r.value)
		}
		if g == bad {
			r.failed++
			r.group.count.failures.Add(1)
		}
		c, confirming := r.judge.sample(g, now)
		notice = r.notice(c, g, now)
		if notice != nil && g == bad {
			notice.Error = reasonOf(m.err, wrong)
		}
		if confirming && r.def.RetryInterval < r.def.Interval {
			r.group.scheduler.sooner(r.job, now.Add(r.def.RetryInterval))
		}
	}
	if before != r.judge.state {
		r.since = now
	}
	return Result{
		Name: r.def.Name, State: r.judge.state, Value: r.value, Err: m.err, Wrong: wrong,
		Detail: m.Detail, Phases: m.Phases, At: m.at, Took: m.took, Interval: r.def.Interval,
	}, notice
}

// gradeOf filters a measurement and judges it by the thresholds; known is false
// while a filter has too few values to tell. r.mu is held.
func (r *runner) gradeOf(p *parts, m *measurement) (g grade, known bool) {
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
func (r *runner) notice(c change, g grade, now time.Time) *action.Notice {
	if c == unchanged && r.judge.state == Failing && g == bad && r.retell {
		c = retold
	}
	switch {
	case c == failed:
		r.incident, r.failedAt, r.failures = rand.Text(), now, r.judge.t.FailuresBeforeAlert
	case r.judge.state == Failing && g == bad:
		r.failures++
	}
	n := action.Notice{
		Monitor: r.def.Name, Host: r.group.cfg.Host, Version: r.group.cfg.Version,
		Value: r.value, Time: now, Labels: r.def.Labels,
	}
	switch c {
	case unchanged:
		return nil
	case failed, retold:
		n.Event = action.Fail
	case reminded:
		n.Event = action.Repeat
	case recovered:
		// Of a failure before a restart only the wall clock is known, which may have
		// been set back.
		n.Event, n.Duration = action.Recover, max(0, now.Sub(r.failedAt))
	}
	r.retell = false
	r.seq++
	n.Incident, n.Seq, n.Since, n.Failures = r.incident, r.seq, r.failedAt, r.failures
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
