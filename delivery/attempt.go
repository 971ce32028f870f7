package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/text"
)

// job is one attempt: the action and the threads it tells of.
type attempt struct {
	action        action.Action
	queues        []*monitorQueue
	notifications []action.Notification
	queue         *queue
	timeout       time.Duration
	change        uint64 // of the Keeper, to be written down first
	began         time.Time
	failures      int // of the receiver when the attempt began
}

func (r *Receiver) newAttempt(ts []*monitorQueue) attempt {
	j := attempt{action: r.action, queues: ts, queue: r.queue, timeout: r.d.opt.Timeout, failures: r.failures}
	if d, ok := r.action.(action.Deadliner); ok {
		j.timeout = min(cmp.Or(d.Deadline(), j.timeout), action.MaxTimeout)
	}
	fresh := false
	for _, t := range ts {
		for _, e := range t.entries[:t.inFlight] {
			j.notifications = append(j.notifications, e.Notification)
			j.change = max(j.change, e.change)
			fresh = fresh || t.frozen > 0 && t.newlyFrozen && e.Event != action.Init
		}
	}
	if fresh {
		j.change = r.d.Changed() // what belongs together is written down too
	}
	return j
}

// attempt makes one attempt, once what it tells is written down, and settles it.
func (r *Receiver) run(ctx context.Context, j attempt) {
	if j.change > 0 {
		r.d.opt.Persister.Await(ctx, j.change)
	}
	j.began = time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, j.timeout, fmt.Errorf("no answer within %v", j.timeout))
	defer cancel()
	err := r.notify(ctx, j)
	r.settle(j, err)
	r.ensureLoop()
}

// notify calls the action; its panic is a failure.
func (r *Receiver) notify(ctx context.Context, j attempt) (err error) {
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
	return j.action.Notify(ctx, j.notifications)
}

// settle takes in how an attempt went, and logs the first failure of a series
// and its end, and refusals now and then.
func (r *Receiver) settle(j attempt, err error) {
	log := r.d.opt.Log.With("receiver", r.name, "notices", len(j.notifications))
	var permanent *action.Permanent
	switch {
	case err == nil:
		if failures := r.record(j, outcomeDelivered, nil); failures > 0 {
			log.Info("a receiver takes notices again", "failures", failures)
		}
	case errors.As(err, &permanent):
		r.record(j, outcomeRefused, err)
		if r.mayLog(time.Now()) {
			log.Error("a receiver refuses notices", "error", text.Line(err.Error(), maxReason))
		}
	default:
		o := outcomeFailed
		if errors.As(err, new(*action.Unreachable)) {
			o = outcomeUnreachable
		}
		if failures := r.record(j, o, err); failures == 0 {
			log.Warn("a receiver does not take notices", "error", text.Line(err.Error(), maxReason))
		}
	}
}

// mayLog reports whether a refusal is to be logged: one in a window.
func (r *Receiver) mayLog(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.refusalLoggedAt.IsZero() && now.Sub(r.refusalLoggedAt) < r.d.opt.Window {
		return false
	}
	r.refusalLoggedAt = now
	return true
}

// record takes in how an attempt went and returns how many attempts in a row
// had failed before.
func (r *Receiver) record(j attempt, o outcome, err error) (failures int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	failures = r.failures
	now := time.Now()
	if err != nil {
		r.lastFailure, r.lastError = now, text.Line(err.Error(), maxReason)
	} else {
		r.lastSuccess = now
	}
	r.failures = 0
	if o == outcomeFailed || o == outcomeUnreachable {
		r.retried++
		// Attempts that were under way together count as one.
		r.failures = max(failures, j.failures+1)
		if until := r.nextAttempt(now, j.began, err); r.failures > failures || until.After(r.retryAt) {
			r.retryAt = until
		}
		r.nextMessageAt, r.incidentWaiting = time.Time{}, true
	}
	for _, t := range j.queues {
		j.queue.settle(t, o)
	}
	r.inFlight--
	if o != outcomeFailed && slices.ContainsFunc(j.notifications, func(n action.Notification) bool { return n.Event != action.Init }) {
		r.d.Changed()
	}
	return failures
}

// until returns when to try again after an attempt that failed. One that nobody
// heard is made again Options.MaxUnreachable after it began at the latest, so
// that a receiver that is back is told within a minute, however long it was away.
func (r *Receiver) nextAttempt(now, began time.Time, err error) time.Time {
	opt := r.d.opt
	until := now.Add(backoff(r.failures, opt.MinBackoff, opt.MaxBackoff))
	var unreachable *action.Unreachable
	if errors.As(err, &unreachable) {
		latest := began.Add(backoff(r.failures, opt.MinBackoff, opt.MaxUnreachable))
		return later(now.Add(opt.MinBackoff), earlier(until, latest))
	}
	var after *action.RetryAfter
	if errors.As(err, &after) {
		until = later(until, now.Add(min(after.After, opt.MaxRetryAfter)))
	}
	return until
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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
