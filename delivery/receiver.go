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

	mu              sync.Mutex // guards all following fields
	action          action.Action
	queue           *queue
	running         bool
	removed         bool
	wake            chan struct{} // holds a token if the loop has something new to see
	inFlight        int           // attempts
	failures        int           // attempts that failed since the last that did not
	retryAt         time.Time     // no attempt before, because of failures
	nextMessageAt   time.Time     // no attempt before, because of grouping
	incidentWaiting bool          // something else than starts may wait
	initsUntil      time.Time     // until when starts alone wait for others
	retried         uint64
	attempts        uint64
	lastSuccess     time.Time
	lastFailure     time.Time
	lastError       string
	refusalLoggedAt time.Time // when a refusal was logged last
}

func newReceiver(name string, d *Deliverer) *Receiver {
	return &Receiver{
		name: name, d: d,
		queue: newQueue(d.opt.History, d.opt.Monitors),
		wake:  make(chan struct{}, 1),
	}
}

// Name returns the receiver's name.
func (r *Receiver) Name() string { return r.name }

// Enqueue takes a notice to be told. It never blocks on anything that is told,
// and costs microseconds.
func (r *Receiver) Enqueue(n action.Notification) {
	r.mu.Lock()
	switch {
	case r.removed:
		r.queue.counts.Dropped++
	case n.Event == action.Init:
		now := time.Now()
		r.queue.add(n, now, 0)
		if r.initsUntil.IsZero() {
			r.initsUntil = now.Add(r.d.opt.Window)
		}
	default:
		r.incidentWaiting = true
		// What counts as this change is seen by who looks after it was counted:
		// the lock is held.
		r.queue.add(n, time.Now(), r.d.Changed())
	}
	r.mu.Unlock()
	r.ensureLoop()
}

// Forget drops what the receiver remembers of a monitor that is no more. What it
// has still to be told of it stays.
func (r *Receiver) Forget(monitor string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue.forget(monitor)
	r.d.Changed()
}

// knows reports whether an incident of a monitor was or will be told, and its end
// will not.
func (r *Receiver) owesRecovery(monitor, incident string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.queue.monitors[monitor]
	if t == nil {
		return false
	}
	failing, over := t.coverage(incident)
	return failing && !over
}

// set gives the receiver its action and lets that have a fresh start.
func (r *Receiver) setAction(a action.Action) {
	r.mu.Lock()
	r.action = a
	r.failures = 0
	r.mu.Unlock()
	r.ensureLoop()
}

// remove ends the receiver and returns what it had still to tell.
func (r *Receiver) remove() []action.Notification {
	owed := r.pending()
	r.mu.Lock()
	r.removed = true
	b := newQueue(r.queue.maxOlder, r.queue.maxMonitors)
	b.counts = r.queue.counts
	r.queue = b
	r.mu.Unlock()
	r.ensureLoop()
	return owed.Notifications
}

// drain makes the loop try at once what waits.
func (r *Receiver) drain() {
	r.mu.Lock()
	r.queue.draining = true
	r.mu.Unlock()
	r.ensureLoop()
}

// restore takes back what the receiver owed before a restart.
func (r *Receiver) restore(b Pending) {
	r.mu.Lock()
	now := time.Now()
	for monitor, incident := range b.Notified {
		r.queue.restoreNotified(monitor, incident)
	}
	r.incidentWaiting = r.incidentWaiting || len(b.Notifications) > 0
	tried := make(map[string]bool, len(b.Attempted))
	for _, key := range b.Attempted {
		tried[key] = true
	}
	for _, n := range b.Notifications {
		// The wall clock is all there is: trust it within what makes sense.
		age := min(max(0, now.Sub(n.Time)), r.d.opt.MaxAge)
		r.queue.restore(n, now.Add(-age), len(tried) > 0 && tried[n.Key()])
	}
	r.mu.Unlock()
	r.ensureLoop()
}

// pending returns what the receiver owes, in order of monitor and time.
func (r *Receiver) pending() Pending {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := Pending{Receiver: r.name, Notified: map[string]string{}}
	for _, monitor := range slices.Sorted(maps.Keys(r.queue.monitors)) {
		t := r.queue.monitors[monitor]
		for i, e := range t.entries {
			if e.Event == action.Init {
				continue
			}
			b.Notifications = append(b.Notifications, e.Notification)
			if i < t.frozen {
				b.Attempted = append(b.Attempted, e.Key())
			}
		}
		if t.notified != "" {
			b.Notified[monitor] = t.notified
		}
	}
	return b
}

// kick makes sure that a loop sees what changed, if there is work at all.
func (r *Receiver) ensureLoop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running {
		select {
		case r.wake <- struct{}{}:
		default:
		}
		return
	}
	if !r.queue.hasWork() {
		return
	}
	if ctx := r.d.loopStarted(); ctx != nil {
		r.running = true
		go r.loop(ctx)
	}
}

// loop makes attempts until there is nothing left to tell or, while stopping,
// to try.
func (r *Receiver) loop(ctx context.Context) {
	defer r.d.loopEnded()
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
			attempts.Go(func() { r.run(ctx, j) })
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
func (r *Receiver) next(now time.Time) (jobs []attempt, wait time.Duration, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight == 0 && !r.queue.hasWork() {
		r.running = false
		return nil, 0, false
	}
	wait = time.Hour // a kick comes before, if there is anything to do
	if blocked := r.delay(now); blocked > 0 {
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
func (r *Receiver) delay(now time.Time) time.Duration {
	if r.queue.draining {
		return 0
	}
	var until time.Time
	if r.failures > 0 {
		until = r.retryAt
	}
	if !r.groups() {
		return until.Sub(now)
	}
	if r.nextMessageAt.After(until) {
		until = r.nextMessageAt
	}
	// A message of starts, which nobody waits for, would put off the failure that
	// is seen right after the start of the program.
	if !r.incidentWaiting && r.initsUntil.After(until) {
		until = r.initsUntil
	}
	return until.Sub(now)
}

func (r *Receiver) groups() bool {
	g, ok := r.action.(action.Grouper)
	return ok && g.Groups()
}

// takeLocked returns the jobs that may begin now.
func (r *Receiver) takeLocked(now time.Time) []attempt {
	oldest := now.Add(-r.d.opt.MaxAge)
	if r.groups() {
		if r.inFlight > 0 {
			return nil
		}
		ts := r.queue.take(len(r.queue.ready), true, oldest)
		if len(ts) == 0 {
			return nil
		}
		if slices.ContainsFunc(ts, (*monitorQueue).hasIncident) {
			r.nextMessageAt = now.Add(r.d.opt.Window)
		}
		r.incidentWaiting, r.initsUntil = slices.ContainsFunc(r.queue.ready, (*monitorQueue).hasIncident), time.Time{}
		return []attempt{r.newAttempt(ts)}
	}
	limit := r.d.opt.Concurrent
	if r.failures > 0 && !r.queue.draining {
		limit = 1 // to see whether it is back
	}
	var jobs []attempt
	for _, t := range r.queue.take(max(0, limit-r.inFlight), false, oldest) {
		jobs = append(jobs, r.newAttempt([]*monitorQueue{t}))
	}
	return jobs
}
