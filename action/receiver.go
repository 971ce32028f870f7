package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// A Receiver is one place that notices go to, with a queue of its own. Make it
// with Deliverer.Add.
type Receiver struct {
	name string
	d    *Deliverer

	mu       sync.Mutex // guards all following fields
	action   Action
	backlog  *backlog
	looping  bool
	removed  bool
	wake     chan struct{} // holds a token if the loop has something new to see
	inFlight int           // attempts
	failures int           // attempts that failed since the last that did not
	pause    time.Time     // no attempt before, because of failures
	window   time.Time     // no attempt before, because of grouping
	retried  uint64
	attempts uint64
	success  time.Time
	failure  time.Time
	reason   string
}

func newReceiver(name string, d *Deliverer) *Receiver {
	return &Receiver{
		name: name, d: d,
		backlog: newBacklog(d.opt.History, d.opt.Monitors),
		wake:    make(chan struct{}, 1),
	}
}

// Name returns the receiver's name.
func (r *Receiver) Name() string { return r.name }

// Enqueue takes a notice to be told. It never blocks on anything that is told,
// and costs microseconds.
func (r *Receiver) Enqueue(n Notice) {
	n.Labels = maps.Clone(n.Labels)
	r.mu.Lock()
	if !r.removed {
		r.backlog.add(n, time.Now())
	}
	r.mu.Unlock()
	r.kick()
}

// Forget drops what the receiver remembers of a monitor that is no more. What it
// has still to be told of it stays.
func (r *Receiver) Forget(monitor string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.backlog.forget(monitor)
}

// set gives the receiver its action and lets that have a fresh start.
func (r *Receiver) set(a Action) {
	r.mu.Lock()
	r.action = a
	r.failures = 0
	r.mu.Unlock()
	r.kick()
}

// remove ends the receiver and returns what it had still to tell.
func (r *Receiver) remove() []Notice {
	owed := r.pending()
	r.mu.Lock()
	r.removed = true
	b := newBacklog(r.backlog.history, r.backlog.limit)
	b.count = r.backlog.count
	r.backlog = b
	r.mu.Unlock()
	r.kick()
	return owed.Notices
}

// drain makes the loop try at once what waits.
func (r *Receiver) drain() {
	r.mu.Lock()
	r.backlog.draining = true
	r.mu.Unlock()
	r.kick()
}

// restore takes back what the receiver owed before a restart.
func (r *Receiver) restore(b Backlog) {
	r.mu.Lock()
	now := time.Now()
	for monitor, incident := range b.Told {
		r.backlog.remember(monitor, incident)
	}
	for _, n := range b.Notices {
		// The wall clock is all there is: trust it within what makes sense.
		age := min(max(0, now.Sub(n.Time)), r.d.opt.MaxAge)
		r.backlog.add(n, now.Add(-age))
	}
	r.mu.Unlock()
	r.kick()
}

// pending returns what the receiver owes, in order of monitor and time.
func (r *Receiver) pending() Backlog {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := Backlog{Receiver: r.name, Told: map[string]string{}}
	for _, monitor := range slices.Sorted(maps.Keys(r.backlog.threads)) {
		t := r.backlog.threads[monitor]
		for _, e := range t.entries {
			b.Notices = append(b.Notices, e.Notice)
		}
		if t.told != "" {
			b.Told[monitor] = t.told
		}
	}
	return b
}

// kick makes sure that a loop sees what changed, if there is work at all.
func (r *Receiver) kick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.looping {
		select {
		case r.wake <- struct{}{}:
		default:
		}
		return
	}
	if !r.backlog.waiting() {
		return
	}
	if ctx := r.d.enter(); ctx != nil {
		r.looping = true
		go r.loop(ctx)
	}
}

// loop makes attempts until there is nothing left to tell or, while stopping,
// to try.
func (r *Receiver) loop(ctx context.Context) {
	defer r.d.leave()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		jobs, wait, more := r.next(time.Now())
		if !more {
			return
		}
		for _, j := range jobs {
			go r.attempt(ctx, j)
		}
		timer.Reset(wait)
		select {
		case <-r.wake:
		case <-timer.C:
		}
	}
}

// job is one attempt: the action and the threads it tells of.
type job struct {
	action   Action
	threads  []*thread
	notices  []Notice
	from     *backlog
	timeout  time.Duration
	failures int // of the receiver when the attempt began
}

// next returns the attempts to make now, and how long to wait for something new
// afterwards. It reports whether there is anything left to wait for; if not, the
// loop is over.
func (r *Receiver) next(now time.Time) (jobs []job, wait time.Duration, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight == 0 && !r.backlog.waiting() {
		r.looping = false
		return nil, 0, false
	}
	wait = time.Hour // a kick comes before, if there is anything to do
	if blocked := r.blocked(now); blocked > 0 {
		return nil, blocked, true
	}
	for _, j := range r.takeLocked(now) {
		r.inFlight++
		r.attempts++
		jobs = append(jobs, j)
	}
	if len(jobs) == 0 && r.inFlight == 0 {
		wait = 0 // what waited has expired: look again
	}
	return jobs, wait, true
}

// blocked returns how long no attempt may begin.
func (r *Receiver) blocked(now time.Time) time.Duration {
	if r.backlog.draining {
		return 0
	}
	var until time.Time
	if r.failures > 0 {
		until = r.pause
	}
	if r.groups() && r.window.After(until) {
		until = r.window
	}
	return until.Sub(now)
}

func (r *Receiver) groups() bool {
	g, ok := r.action.(Grouper)
	return ok && g.Groups()
}

// takeLocked returns the jobs that may begin now.
func (r *Receiver) takeLocked(now time.Time) []job {
	oldest := now.Add(-r.d.opt.MaxAge)
	if r.groups() {
		if r.inFlight > 0 {
			return nil
		}
		if ts := r.backlog.take(len(r.backlog.ready), true, oldest); len(ts) > 0 {
			r.window = now.Add(r.d.opt.Window)
			return []job{r.job(ts)}
		}
		return nil
	}
	limit := r.d.opt.Concurrent
	if r.failures > 0 && !r.backlog.draining {
		limit = 1 // to see whether it is back
	}
	var jobs []job
	for _, t := range r.backlog.take(max(0, limit-r.inFlight), false, oldest) {
		jobs = append(jobs, r.job([]*thread{t}))
	}
	return jobs
}

func (r *Receiver) job(ts []*thread) job {
	j := job{action: r.action, threads: ts, from: r.backlog, timeout: r.d.opt.Timeout, failures: r.failures}
	if d, ok := r.action.(Deadliner); ok {
		j.timeout = min(cmp.Or(d.Deadline(), j.timeout), MaxTimeout)
	}
	for _, t := range ts {
		for _, e := range t.entries[:t.inFlight] {
			j.notices = append(j.notices, e.Notice)
		}
	}
	return j
}

// attempt makes one attempt and settles it.
func (r *Receiver) attempt(ctx context.Context, j job) {
	ctx, cancel := context.WithTimeoutCause(ctx, j.timeout, fmt.Errorf("no answer within %v", j.timeout))
	defer cancel()
	err := r.notify(ctx, j)
	r.settle(j, err)
	r.kick()
}

// notify calls the action; its panic is a failure.
func (r *Receiver) notify(ctx context.Context, j job) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err = fmt.Errorf("panic: %T", p) // what else it says may hold a secret
		if fault, ok := p.(runtime.Error); ok {
			err = fmt.Errorf("panic: %w", fault)
		}
		r.d.opt.Log.Error("an action panics", "receiver", r.name, "error", err, "stack", string(debug.Stack()))
	}()
	return j.action.Notify(ctx, j.notices)
}

// settle takes in how an attempt went, and logs the first failure of a series
// and its end.
func (r *Receiver) settle(j job, err error) {
	log := r.d.opt.Log.With("receiver", r.name, "notices", len(j.notices))
	var permanent *Permanent
	switch {
	case err == nil:
		if failures := r.record(j, delivered, nil); failures > 0 {
			log.Info("a receiver takes notices again", "failures", failures)
		}
	case errors.As(err, &permanent):
		r.record(j, refused, err)
		log.Error("a receiver refuses notices", "error", line(err.Error(), maxReason))
	default:
		if failures := r.record(j, postponed, err); failures == 0 {
			log.Warn("a receiver does not take notices", "error", line(err.Error(), maxReason))
		}
	}
}

// record takes in how an attempt went and returns how many attempts in a row
// had failed before.
func (r *Receiver) record(j job, o outcome, err error) (failures int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	failures = r.failures
	now := time.Now()
	if err != nil {
		r.failure, r.reason = now, line(err.Error(), maxReason)
	} else {
		r.success = now
	}
	r.failures = 0
	if o == postponed {
		r.retried++
		// Attempts that were under way together count as one.
		r.failures = max(failures, j.failures+1)
		if until := now.Add(r.wait(err)); r.failures > failures || until.After(r.pause) {
			r.pause = until
		}
		r.window = time.Time{}
	}
	for _, t := range j.threads {
		j.from.settle(t, o)
	}
	r.inFlight--
	return failures
}

// wait returns how long to wait after a failure.
func (r *Receiver) wait(err error) time.Duration {
	opt := r.d.opt
	wait := backoff(r.failures, opt.MinBackoff, opt.MaxBackoff)
	var after *RetryAfter
	if errors.As(err, &after) {
		wait = max(wait, min(after.After, opt.MaxRetryAfter))
	}
	return wait
}

// maxReason bounds an error in State and in the log, in bytes.
const maxReason = 500

// backoff returns how long to wait after so many failures in a row: doubled each
// time, plus up to a quarter so that receivers do not keep step, within shortest
// and longest.
func backoff(failures int, shortest, longest time.Duration) time.Duration {
	d := shortest
	for range failures - 1 {
		if d *= 2; d >= longest*4/5 {
			d = longest * 4 / 5
			break
		}
	}
	return min(longest, max(shortest, d+rand.N(d/4+1)))
}
