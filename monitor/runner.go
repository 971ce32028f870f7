package monitor

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

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
	Err       error
	Violation string
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
	pipeline *pipeline
	// stopped is closed when the monitor is stopped; nil if its kind is not bound.
	stopped chan struct{}
	// last are the receivers of the newest parts. owed are those of former
	// definitions that were told of the open incident: they hear of its end too.
	receivers, former []Receiver
	// inUse are the parts that a probe runs with now, perhaps older ones than
	// parts. busy is set meanwhile, and shared with the runner that this one
	// replaced, so that a monitor never has two probes at a time.
	inUse *pipeline
	busy  *atomic.Bool
	// cancel ends the probe that runs; nil while none does.
	cancel context.CancelFunc
	// origin is a point of the steady phase.
	firstTick time.Time
	// retell is set when receivers may have come that do not know of the open
	// incident.
	renotify bool

	judge            judge
	incident         string
	failedAt         time.Time // monotonic
	incidentFailures int       // failed probes of the incident
	seq              int64
	since            time.Time
	lastProbe        time.Time
	value            float64
	lastErr          error
	detail           string

	probes, failedProbes, missed int64
}

// parts are what a definition is built into.
type pipeline struct {
	probe     probe.Probe
	value     valueFilter
	verdict   verdictFilter
	receivers []Receiver
	// secrets stands for what was in the files that the probe read, see
	// fingerprints.
	fingerprint string
}

// begin is called by the scheduler when a probe is due, late after due.
func (r *runner) tick(due time.Time, late time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pipeline == nil {
		return
	}
	if r.firstTick.IsZero() {
		r.firstTick = due
	}
	// The next tick is fixed before the probe runs, from a fixed origin, so that
	// neither long probes nor retries move the phase.
	next := r.nextTick(due.Add(late))
	r.countMissed(int64(next.Sub(r.nextTick(due)) / r.def.Interval))
	r.group.scheduler.schedule(r.job, next)
	if !r.busy.CompareAndSwap(false, true) {
		r.countMissed(1)
		return
	}
	r.inUse = r.pipeline
	r.group.probing.Add(1)
	p, stopped := r.pipeline, r.stopped
	r.group.workers.run(func() { r.runProbe(p, stopped, due) })
}

// miss counts probes that were not made. r.mu is held.
func (r *runner) countMissed(n int64) {
	r.missed += n
	r.group.count.missed.Add(n)
}

// tickAfter returns the first point of the steady phase after t.
func (r *runner) nextTick(t time.Time) time.Time {
	n := t.Sub(r.firstTick)/r.def.Interval + 1
	return r.firstTick.Add(n * r.def.Interval)
}

// run makes one probe, which was due at a time, and hands on what came of it. A
// probe that was cut short by a stop says nothing about its target.
func (r *runner) runProbe(p *pipeline, stopped <-chan struct{}, due time.Time) {
	defer r.group.probing.Done()
	release, ok := r.group.acquire(r.def.probe.Kind, stopped)
	if !ok {
		r.finish(p, nil)
		return
	}
	ctx, cancel := withProbeTimeout(context.Background(), r.deadline())
	defer cancel()
	var m *measurement
	if r.setCancel(p, cancel) {
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
func (r *runner) setCancel(p *pipeline, cancel context.CancelFunc) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pipeline != p {
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
type timeoutError time.Duration

func (e timeoutError) Error() string { return fmt.Sprintf("no answer within %v", time.Duration(e)) }

// within returns a context that ends after the time that a probe has.
func withProbeTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, timeoutError(timeout))
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
