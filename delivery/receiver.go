package delivery

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// A Receiver is one place that notices go to, with a queue of its own. Make it
// with Deliverer.Add.
type Receiver struct {
	name string
	d    *Deliverer

	mu       sync.Mutex // guards all following fields
	action   action.Action
	backlog  *backlog
	looping  bool
	removed  bool
	wake     chan struct{} // holds a token if the loop has something new to see
	inFlight int           // attempts
	failures int           // attempts that failed since the last that did not
	pause    time.Time     // no attempt before, because of failures
	window   time.Time     // no attempt before, because of grouping
	urgent   bool          // something else than starts may wait
	company  time.Time     // until when starts alone wait for others
	retried  uint64
	attempts uint64
	success  time.Time
	failure  time.Time
	reason   string
	logged   time.Time // when a refusal was logged last
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
func (r *Receiver) Enqueue(n action.Notice) {
	r.mu.Lock()
	switch {
	case r.removed:
		r.backlog.count.Dropped++
	case n.Event == action.Init:
		now := time.Now()
		r.backlog.add(n, now, 0)
		if r.company.IsZero() {
			r.company = now.Add(r.d.opt.Window)
		}
	default:
		r.urgent = true
		// What counts as this change is seen by who looks after it was counted:
		// the lock is held.
		r.backlog.add(n, time.Now(), r.d.Changed())
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
	r.d.Changed()
}

// knows reports whether an incident of a monitor was or will be told, and its end
// will not.
func (r *Receiver) knows(monitor, incident string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.backlog.threads[monitor]
	if t == nil {
		return false
	}
	failing, over := t.knows(incident)
	return failing && !over
}

// set gives the receiver its action and lets that have a fresh start.
func (r *Receiver) set(a action.Action) {
	r.mu.Lock()
	r.action = a
	r.failures = 0
	r.mu.Unlock()
	r.kick()
}

// remove ends the receiver and returns what it had still to tell.
func (r *Receiver) remove() []action.Notice {
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
	r.urgent = r.urgent || len(b.Notices) > 0
	tried := make(map[string]bool, len(b.Tried))
	for _, key := range b.Tried {
		tried[key] = true
	}
	for _, n := range b.Notices {
		// The wall clock is all there is: trust it within what makes sense.
		age := min(max(0, now.Sub(n.Time)), r.d.opt.MaxAge)
		r.backlog.restore(n, now.Add(-age), len(tried) > 0 && tried[n.Key()])
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
		for i, e := range t.entries {
			if e.Event == action.Init {
				continue
			}
			b.Notices = append(b.Notices, e.Notice)
			if i < t.frozen {
				b.Tried = append(b.Tried, e.Key())
			}
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
	var attempts sync.WaitGroup
	defer attempts.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		jobs, wait, more := r.next(time.Now())
		if !more {
			return
		}
		for _, j := range jobs {
			attempts.Go(func() { r.attempt(ctx, j) })
		}
		timer.Reset(wait)
		select {
		case <-r.wake:
		case <-timer.C:
		}
	}
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
	if !r.groups() {
		return until.Sub(now)
	}
	if r.window.After(until) {
		until = r.window
	}
	// A message of starts, which nobody waits for, would put off the failure that
	// is seen right after the start of the program.
	if !r.urgent && r.company.After(until) {
		until = r.company
	}
	return until.Sub(now)
}

func (r *Receiver) groups() bool {
	g, ok := r.action.(action.Grouper)
	return ok && g.Groups()
}

// takeLocked returns the jobs that may begin now.
func (r *Receiver) takeLocked(now time.Time) []job {
	oldest := now.Add(-r.d.opt.MaxAge)
	if r.groups() {
		if r.inFlight > 0 {
			return nil
		}
		ts := r.backlog.take(len(r.backlog.ready), true, oldest)
		if len(ts) == 0 {
			return nil
		}
		if slices.ContainsFunc(ts, (*thread).urgent) {
			r.window = now.Add(r.d.opt.Window)
		}
		r.urgent, r.company = slices.ContainsFunc(r.backlog.ready, (*thread).urgent), time.Time{}
		return []job{r.job(ts)}
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
