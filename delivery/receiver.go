package delivery

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/loglimit"
)

// A Receiver is one destination of notifications with its own queue. Create it with
// Deliverer.Add.
type Receiver struct {
	name     string
	d        *Deliverer
	refusals loglimit.Limiter // log lines of refused notifications

	mu              sync.Mutex // guards all following fields
	action          action.Action
	queue           *queue
	running         bool
	removed         bool
	wake            chan struct{} // holds a token if something changed for the loop
	inFlight        int           // attempts in progress
	failures        int           // consecutive failed attempts
	retryAt         time.Time     // no attempt before: backoff
	nextMessageAt   time.Time     // no attempt before: grouping
	incidentWaiting bool          // a notification other than Init may be pending
	initsUntil      time.Time     // until then a message of Init notifications only is held back
	retried         uint64
	attempts        uint64
	failing         bool      // the last attempt failed or was refused
	since           time.Time // when failing changed, or the receiver was added
	lastSuccess     time.Time
	lastFailure     time.Time
	lastError       string
	outcomes        Outcomes
	latency         Latency
}

func newReceiver(name string, d *Deliverer) *Receiver {
	return &Receiver{
		name: name, d: d,
		queue: newQueue(d.opt.History, d.opt.Monitors),
		wake:  make(chan struct{}, 1),
		since: time.Now(), latency: newLatency(),

		refusals: loglimit.Limiter{Every: d.opt.Window},
	}
}

// Name returns the receiver's name.
func (r *Receiver) Name() string { return r.name }

// Inits reports which starts of monitors are to be enqueued: see action.Starter. An
// action that does not say gets all of them.
func (r *Receiver) Inits() (atOnce, onceGood bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.action.(action.Starter); ok {
		return s.Inits()
	}
	return true, false
}

// Enqueue adds a notification to the queue. It takes microseconds and never waits for
// an action.
func (r *Receiver) Enqueue(n action.Notification) {
	r.mu.Lock()
	switch {
	case r.removed:
		r.queue.counts.Dropped++
	case n.Event == action.Init:
		now := r.d.clock.Now()
		r.queue.add(n, now, 0)
		if r.initsUntil.IsZero() {
			r.initsUntil = now.Add(r.d.opt.Window)
		}
	default:
		r.incidentWaiting = true
		// The lock is held, so whoever reads the queue after this change was counted
		// sees it.
		r.queue.add(n, r.d.clock.Now(), r.d.Changed())
	}
	r.mu.Unlock()
	r.ensureLoop()
}

// InitPending reports whether the start of a monitor is not delivered yet.
func (r *Receiver) InitPending(monitor string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.queue.monitors[monitor]
	return m != nil && slices.ContainsFunc(m.entries, func(e entry) bool { return e.Event == action.Init })
}

// Forget drops what the receiver remembers of a monitor that was removed. Its pending
// notifications stay.
func (r *Receiver) Forget(monitor string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue.forget(monitor)
	r.d.Changed()
}

// owesRecovery reports whether a failure of an incident was or will be delivered and
// its recovery is not pending.
func (r *Receiver) owesRecovery(monitor, incident string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.queue.monitors[monitor]
	if m == nil {
		return false
	}
	failure, recovery := m.coverage(incident)
	return failure && !recovery
}

// setAction replaces the action and resets the backoff.
func (r *Receiver) setAction(a action.Action) {
	r.mu.Lock()
	r.action = a
	r.failures = 0
	r.mu.Unlock()
	r.ensureLoop()
}

// remove ends the receiver and returns its pending notifications.
func (r *Receiver) remove() []action.Notification {
	pending := r.pending()
	r.mu.Lock()
	r.removed = true
	q := newQueue(r.queue.maxOlder, r.queue.maxMonitors)
	q.counts = r.queue.counts
	r.queue = q
	r.mu.Unlock()
	r.ensureLoop()
	return pending.Notifications
}

// drain makes the loop try everything pending at once.
func (r *Receiver) drain() {
	r.mu.Lock()
	r.queue.draining = true
	r.mu.Unlock()
	r.ensureLoop()
}

// restore takes back what was pending before a restart.
func (r *Receiver) restore(p Pending) {
	r.mu.Lock()
	now := time.Now()
	for monitor, incident := range p.Notified {
		r.queue.restoreNotified(monitor, incident)
	}
	r.incidentWaiting = r.incidentWaiting || len(p.Notifications) > 0
	attempted := make(map[string]bool, len(p.Attempted))
	for _, key := range p.Attempted {
		attempted[key] = true
	}
	for _, n := range p.Notifications {
		// The age is known by the wall clock only, which may have been set: bound it.
		age := min(max(0, now.Sub(n.Time)), r.d.opt.MaxAge)
		r.queue.restore(n, r.d.clock.Now().Add(-age), len(attempted) > 0 && attempted[n.Key()])
	}
	r.mu.Unlock()
	r.ensureLoop()
}

// pending returns what is pending, ordered by monitor and time.
func (r *Receiver) pending() Pending {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := Pending{Receiver: r.name, Notified: map[string]string{}}
	for _, monitor := range slices.Sorted(maps.Keys(r.queue.monitors)) {
		m := r.queue.monitors[monitor]
		for i, e := range m.entries {
			if e.Event == action.Init {
				continue
			}
			p.Notifications = append(p.Notifications, e.Notification)
			if i < m.frozen {
				p.Attempted = append(p.Attempted, e.Key())
			}
		}
		if m.notified != "" {
			p.Notified[monitor] = m.notified
		}
	}
	return p
}

// ensureLoop wakes the loop, or starts it if it does not run and there is work.
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

// loop makes attempts until nothing is pending or, while draining, everything was
// tried.
func (r *Receiver) loop(ctx context.Context) {
	defer r.d.loopEnded()
	var running sync.WaitGroup
	defer running.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		attempts, wait, more := r.next(r.d.clock.Now())
		if !more {
			return
		}
		for _, a := range attempts {
			running.Go(func() { r.run(ctx, a) })
		}
		timer.Reset(wait)
		select {
		case <-r.wake:
		case <-timer.C:
		}
	}
}

// next returns the attempts to make now and how long to wait afterwards unless
// something changes. If more is false, there is nothing left to wait for and the loop
// ends.
func (r *Receiver) next(now time.Time) (attempts []attempt, wait time.Duration, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight == 0 && !r.queue.hasWork() {
		r.running = false
		return nil, 0, false
	}
	wait = time.Hour // a change wakes the loop earlier
	if delay := r.delay(now); delay > 0 {
		return nil, delay, true
	}
	for _, a := range r.takeLocked(now) {
		r.inFlight++
		r.attempts++
		attempts = append(attempts, a)
	}
	if len(attempts) == 0 && r.inFlight == 0 {
		wait = 0 // everything taken had expired
	}
	return attempts, wait, true
}

// delay returns how long the next attempt must wait.
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
	// An Init is not urgent. A message with nothing else would delay a failure found
	// right after the program started by Options.Window.
	if !r.incidentWaiting && r.initsUntil.After(until) {
		until = r.initsUntil
	}
	return until.Sub(now)
}

func (r *Receiver) groups() bool {
	g, ok := r.action.(action.Grouper)
	return ok && g.Groups()
}

// takeLocked returns the attempts that may begin now.
func (r *Receiver) takeLocked(now time.Time) []attempt {
	oldest := now.Add(-r.d.opt.MaxAge)
	if r.groups() {
		if r.inFlight > 0 {
			return nil
		}
		monitors := r.queue.take(len(r.queue.ready), true, oldest)
		if len(monitors) == 0 {
			return nil
		}
		if slices.ContainsFunc(monitors, (*monitorQueue).hasIncident) {
			r.nextMessageAt = now.Add(r.d.opt.Window)
		}
		r.incidentWaiting, r.initsUntil = slices.ContainsFunc(r.queue.ready, (*monitorQueue).hasIncident), time.Time{}
		return []attempt{r.newAttempt(monitors)}
	}
	limit := r.d.opt.Concurrent
	if r.failures > 0 && !r.queue.draining {
		limit = 1 // one attempt checks whether it recovered
	}
	var attempts []attempt
	for _, m := range r.queue.take(max(0, limit-r.inFlight), false, oldest) {
		attempts = append(attempts, r.newAttempt([]*monitorQueue{m}))
	}
	return attempts
}
