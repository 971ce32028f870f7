package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/text"
)

// attempt is one call of an action with notifications of some monitors.
type attempt struct {
	action        action.Action
	queues        []*monitorQueue
	notifications []action.Notification
	queue         *queue
	timeout       time.Duration
	change        uint64 // the change that must be persisted before the call; 0 for none
	began         time.Time
	failures      int // consecutive failures of the receiver when the attempt was made
}

func (r *Receiver) newAttempt(queues []*monitorQueue) attempt {
	a := attempt{action: r.action, queues: queues, queue: r.queue, timeout: r.d.opt.Timeout, failures: r.failures}
	if d, ok := r.action.(action.Deadliner); ok {
		a.timeout = min(cmp.Or(d.Deadline(), a.timeout), action.MaxTimeout)
	}
	newGroup := false
	for _, q := range queues {
		for _, e := range q.entries[:q.inFlight] {
			a.notifications = append(a.notifications, e.Notification)
			a.change = max(a.change, e.change)
			newGroup = newGroup || q.frozen > 0 && q.newlyFrozen && e.Event != action.Init
		}
	}
	if newGroup {
		a.change = r.d.Changed() // which notifications form the message is persisted too
	}
	return a
}

// run waits until the notifications of an attempt are persisted, calls the action
// and records the result.
func (r *Receiver) run(ctx context.Context, a attempt) {
	if a.change > 0 {
		r.d.opt.Persister.Await(ctx, a.change)
	}
	a.began = r.d.clock.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, a.timeout, fmt.Errorf("no answer within %v", a.timeout))
	defer cancel()
	err := r.notify(ctx, a)
	r.settle(a, err)
	r.ensureLoop()
}

// notify calls the action. It turns a panic into an error.
func (r *Receiver) notify(ctx context.Context, a attempt) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err = fmt.Errorf("panic: %T", p) // its text may hold a secret
		if fault, ok := p.(runtime.Error); ok {
			err = fmt.Errorf("panic: %w", fault)
		}
		r.d.opt.Log.Error("action panicked", "receiver", r.name, "error", err, "stack", string(debug.Stack()))
	}()
	return a.action.Notify(ctx, a.notifications)
}

// settle records the result of an attempt. Of a series of failures it logs the
// first one and the end; it logs refusals once in Options.Window.
func (r *Receiver) settle(a attempt, err error) {
	var permanent *action.Permanent
	switch {
	case err == nil:
		if failures, _ := r.record(a, outcomeDelivered, nil); failures > 0 {
			r.d.opt.Log.Info("notifications are delivered again", append(r.describe(a), "failures", failures)...)
		}
	case errors.As(err, &permanent):
		failures, _ := r.record(a, outcomeRefused, err)
		r.refusals.Log(r.d.opt.Log, slog.LevelError, "notification refused, not retrying", func() []any {
			return append(r.describe(a), "attempt", failures+1, "error", text.Line(err.Error(), maxErrorText))
		})
	default:
		o := outcomeFailed
		if errors.As(err, new(*action.Unreachable)) {
			o = outcomeUnreachable
		}
		if failures, retryAt := r.record(a, o, err); failures == 0 {
			r.d.opt.Log.Warn("notification failed, retrying", append(r.describe(a), "attempt", failures+1,
				"next_attempt", retryAt.UTC().Format(time.RFC3339), "error", text.Line(err.Error(), maxErrorText))...)
		}
	}
}

// maxDescribed bounds the notifications of a message that a line of the log names.
const maxDescribed = 5

// describe returns what a line of the log says about an attempt: the receiver, and
// the monitors and incidents of its notifications.
func (r *Receiver) describe(a attempt) []any {
	var monitors, incidents []string
	for _, n := range a.notifications[:min(len(a.notifications), maxDescribed)] {
		if name := text.Line(n.Monitor, maxNameText); !slices.Contains(monitors, name) {
			monitors = append(monitors, name)
		}
		if n.Incident != "" && !slices.Contains(incidents, n.Incident) {
			incidents = append(incidents, text.Line(n.Incident, maxNameText))
		}
	}
	list := func(names []string) string {
		text := strings.Join(names, ", ")
		if n := len(a.notifications) - maxDescribed; n > 0 && len(names) > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
		return text
	}
	return []any{
		"receiver", r.name, "kind", kindOf(a.action), "notifications", len(a.notifications),
		"monitor", list(monitors), "incident", list(incidents),
	}
}

// maxNameText bounds the name of a monitor or an incident in the log, in bytes.
const maxNameText = 200

// record updates the receiver with the result of an attempt. It returns how many
// attempts in a row had failed before, and when the receiver retries.
func (r *Receiver) record(a attempt, o outcome, err error) (failures int, retryAt time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	failures = r.failures
	now, wall := r.d.clock.Now(), time.Now()
	if err != nil {
		r.lastFailure, r.lastError = wall, text.Line(err.Error(), maxErrorText)
	} else {
		r.lastSuccess = wall
	}
	if failing := err != nil; failing != r.failing {
		r.failing, r.since = failing, wall
	}
	r.failures = 0
	if o == outcomeFailed || o == outcomeUnreachable {
		r.retried++
		// Concurrent attempts that fail count as one failure.
		r.failures = max(failures, a.failures+1)
		if retryAt := r.nextAttempt(now, a.began, err); r.failures > failures || retryAt.After(r.retryAt) {
			r.retryAt = retryAt
		}
		r.nextMessageAt, r.incidentWaiting = time.Time{}, true
	}
	r.observe(a, o, now, wall)
	for _, q := range a.queues {
		a.queue.settle(q, o)
	}
	r.inFlight--
	if o != outcomeFailed && slices.ContainsFunc(a.notifications, func(n action.Notification) bool { return n.Event != action.Init }) {
		r.d.Changed()
	}
	return failures, r.d.clock.Wall(r.retryAt)
}

// nextAttempt returns when to retry after a failed attempt. If the receiver was
// unreachable, the next attempt begins at most Options.MaxUnreachable after the
// failed one began, so that a receiver that returns is notified within a minute
// after any outage.
func (r *Receiver) nextAttempt(now, began time.Time, err error) time.Time {
	opt := r.d.opt
	at := now.Add(backoff(r.failures, opt.MinBackoff, opt.MaxBackoff))
	var unreachable *action.Unreachable
	if errors.As(err, &unreachable) {
		latest := began.Add(backoff(r.failures, opt.MinBackoff, opt.MaxUnreachable))
		return later(now.Add(opt.MinBackoff), earlier(at, latest))
	}
	var after *action.RetryAfter
	if errors.As(err, &after) {
		at = later(at, now.Add(min(after.After, opt.MaxRetryAfter)))
	}
	return at
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

// maxErrorText bounds an error in ReceiverStatus and in the log, in bytes.
const maxErrorText = 500

// backoff returns how long to wait after a number of consecutive failures. The
// time doubles with each failure and has up to a quarter of jitter, so that
// receivers do not retry at the same moment. It stays between shortest and longest.
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
