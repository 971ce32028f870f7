package monitor

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/microhq/monitor-srv/clock"
	"github.com/microhq/monitor-srv/probe"
)

// Result is the result of one probe of a monitor.
type Result struct {
	// Name is the monitor, State its state after this result.
	Name  string
	State State
	// Value is the filtered value. It is undefined if Err is set, unless the kind
	// of probe defines a value for errors.
	Value float64
	// Err is the error of the probe. Violation describes the threshold that the
	// value violates; it is empty if there is none or the probe failed.
	Err       error
	Violation string
	// Detail is what the probe observed, as text for people.
	Detail string
	Phases []probe.Phase
	// At is the start of the probe, Took its duration.
	At   time.Time
	Took time.Duration
	// Interval is the longest time to the next probe.
	Interval time.Duration
}

// Recorder receives every result, in order for each monitor. The last one has the
// State Stopped when the monitor stops. It must neither block nor call the Group.
type Recorder interface{ Record(r Result) }

// runner runs one monitor.
type runner struct {
	id    int64
	def   *Definition
	group *Group
	job   *job
	// moved is where the monitor is defined since it has moved; nil if it has not.
	moved atomic.Pointer[place]

	mu sync.Mutex // guards all fields below
	// pipeline is nil while the monitor is stopped.
	pipeline *pipeline
	// stoppedAt is when somebody stopped the monitor; zero if it is to run.
	stoppedAt time.Time
	// stopped is closed when the monitor stops. It is nil if the number of
	// concurrent probes of its kind is not limited.
	stopped chan struct{}
	// receivers are those of the newest pipeline, former those of older definitions
	// that were notified of the open incident and still need its recovery.
	receivers, former []Receiver
	// inUse is the pipeline of the running probe, which may be older than pipeline.
	// busy is true meanwhile. A runner shares it with the one it replaced, so that a
	// monitor never has two probes at a time.
	inUse *pipeline
	busy  *atomic.Bool
	// cancel ends the running probe; nil without one.
	cancel context.CancelFunc
	// firstTick is the time that all ticks are multiples of the interval after.
	firstTick time.Time
	// ignored counts the results in a row that a standstill made meaningless.
	ignored int
	// renotify is true if there may be receivers that were not notified of the open
	// incident.
	renotify bool
	// initDue is true while receivers wait for the first good result to be notified
	// of the start. replaces is true until start if this runner continues another.
	initDue, replaces bool

	judge judge
	past
	// recalled is what a snapshot holds of the monitor, until its first result.
	recalled *record
	// ended is the pipeline that ran when the Group ended.
	ended *pipeline
}

// past is what a monitor keeps, besides the standing of its judge, if its definition
// changes or this process is restarted.
type past struct {
	incident         string
	failedAt         time.Time     // of the wall clock
	failedSince      time.Duration // the same, of the clock of the Group
	incidentFailures int
	seq              int64
	since            time.Time
	lastProbe        time.Time
	value            float64
	lastErr          error
	detail           string
	last             *lastProbe // nil before the first result

	probes, failedProbes, missed int64
}

// takeOver continues another runner of the monitor, or one of before a restart. Unless
// it was notified already, initDue says so, the start of the monitor is notified of no
// more. r.mu is held, or r not in use yet.
func (r *runner) takeOver(s standing, p past, initDue bool) {
	r.judge.standing, r.past = s, p
	r.replaces, r.initDue = true, initDue
}

// pipeline is what a definition is built into.
type pipeline struct {
	probe     probe.Probe
	value     valueFilter
	verdict   verdictFilter
	receivers []Receiver
	// fingerprint is that of the files the probe has read, see fingerprints.
	fingerprint string
}

// tick is called by the scheduler when a probe is due. late is the delay since due.
func (r *runner) tick(due time.Time, late time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pipeline == nil {
		return
	}
	if r.firstTick.IsZero() {
		r.firstTick = due
	}
	// The next tick depends on the first one alone, so that neither long probes nor
	// retries shift the schedule.
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

// countMissed counts skipped probes. r.mu is held.
func (r *runner) countMissed(n int64) {
	r.missed += n
	r.group.count.missed.Add(n)
}

// nextTick returns the first tick after t.
func (r *runner) nextTick(t time.Time) time.Time {
	n := t.Sub(r.firstTick)/r.def.Interval + 1
	return r.firstTick.Add(n * r.def.Interval)
}

// runProbe runs one probe and evaluates its result. The result of a probe that is
// interrupted by a stop is dropped: it says nothing about the target.
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
		late := r.group.count.began(due, r.group.clock.Now())
		before := r.group.standstill.begin()
		measured := measure(ctx, p.probe, r.group.clock)
		measured.late = late
		measured.stood = r.group.standstill.end(before)
		m = &measured
		r.group.count.running.Add(-1)
	}
	release()
	r.finish(p, m)
}

// setCancel lets a stop of the monitor cancel the probe that is about to run. It
// returns false if the monitor is stopped already.
func (r *runner) setCancel(p *pipeline, cancel context.CancelFunc) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pipeline != p {
		return false
	}
	r.cancel = cancel
	return true
}

// deadline leaves at least 5 % of the interval between two probes.
func (r *runner) deadline() time.Duration {
	return min(r.def.Timeout, r.def.Interval-r.def.Interval/20)
}

// measurement is what one run of a probe returned.
type measurement struct {
	probe.Result
	err   error
	at    time.Time // of the wall clock
	began time.Time // the same, of the clock of the Group
	took  time.Duration
	late  time.Duration // the delay after it was due
	stood time.Duration // the process stood still meanwhile
}

// timeoutError is the cause of a probe's expired context.
type timeoutError time.Duration

func (e timeoutError) Error() string { return fmt.Sprintf("no answer within %v", time.Duration(e)) }

func withProbeTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, timeoutError(timeout))
}

// measure runs a probe. A panic or a value that is not finite is an error.
func measure(ctx context.Context, p probe.Probe, c *clock.Clock) (m measurement) {
	m.at, m.began = time.Now(), c.Now()
	defer func() {
		m.took = c.Since(m.began)
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
