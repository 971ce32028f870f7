package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// publishGap keeps a Reporter below 500 events a second, the rate up to which
	// go-micro's http broker was measured to lose none: it drops what is more than
	// 64 behind without a word.
	publishGap = 2 * time.Millisecond
	// After a failed call the next one waits, twice as long each time. The http
	// broker keeps what it could not send, 64 events of a topic, and sends the
	// oldest first: many more attempts than new events would fill it with old news.
	minPause, maxPause = 100 * time.Millisecond, 5 * time.Second
	// logPause is the least time between two log lines about publishing.
	logPause = 10 * time.Second
)

var errNoAnswer = errors.New("the broker did not answer in time")

// dispatcher takes events from the outbox to the Publisher.
type dispatcher struct {
	out       *outbox
	counts    *counters
	publisher Publisher
	timeout   time.Duration
	onError   func(error)
	node      string
	logger    *slog.Logger
	// hurry is closed when the last events are in the outbox.
	hurry chan struct{}

	mu      sync.Mutex // guards all that follows
	failing bool
	logged  time.Time // last log line
	lastErr error     // of the last failed call
}

// run returns when ctx ends. Calls of the Publisher that hang are left behind.
func (d *dispatcher) run(ctx context.Context) {
	for {
		e := d.out.take()
		if e == nil {
			select {
			case <-ctx.Done():
				return
			case <-d.out.wake:
			}
			continue
		}
		d.send(ctx, e)
		d.rest(ctx)
		if ctx.Err() != nil {
			return
		}
	}
}

// send makes one call and waits for it, unless it hangs or there is haste.
func (d *dispatcher) send(ctx context.Context, e *event) {
	callCtx, cancel := context.WithTimeout(ctx, d.timeout)
	c, back := &call{event: e}, make(chan struct{})
	go func() {
		defer close(back)
		defer cancel()
		err := d.call(callCtx, e)
		if d.out.returned(c, err) || err == nil {
			d.report(e, err)
		}
	}()
	hurry := d.hurry
	if d.hurried() {
		hurry = nil
	}
	select {
	case <-back:
	case <-hurry:
		d.out.leave(c, false)
	case <-callCtx.Done():
		if d.out.leave(c, true) && ctx.Err() == nil {
			d.counts.unanswered.Add(1)
			d.report(e, fmt.Errorf("%w (%v)", errNoAnswer, d.timeout))
		}
	}
}

// call is the one place where the Publisher, which may do anything, is called.
func (d *dispatcher) call(ctx context.Context, e *event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the publisher panicked: %v", p)
		}
	}()
	return d.publisher.Publish(ctx, e.key.topic, e.msg)
}

// rest waits before the next call: shortly after a good one, longer after a
// failed one. On Close there is no time for that.
func (d *dispatcher) rest(ctx context.Context) {
	pause := publishGap
	if n := d.out.failures(); n > 0 {
		pause = min(minPause<<min(n-1, 10), maxPause)
	}
	hurry := d.hurry
	if d.hurried() {
		pause, hurry = min(pause, minPause), nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-hurry:
	case <-timer.C:
	}
}

func (d *dispatcher) hurried() bool {
	select {
	case <-d.hurry:
		return true
	default:
		return false
	}
}

// report counts one outcome and tells those who asked for it.
func (d *dispatcher) report(e *event, err error) {
	if err == nil {
		d.counts.published.Add(1)
		if d.turned(false) {
			d.logger.Info("publishing health events works again", "node", d.node)
		}
		return
	}
	d.counts.failed.Add(1)
	err = fmt.Errorf("publishing on %s for %q: %w", e.key.topic, d.node, err)
	if e.key.check != "" {
		err = fmt.Errorf("check %q: %w", e.key.check, err)
	}
	d.mu.Lock()
	d.lastErr = err
	d.mu.Unlock()
	if d.turned(true) {
		d.logger.Warn("publishing health events fails, the newest of each kind are kept", "error", err,
			"hint", "see that the registry, the broker and the monitoring service run, the last one on the same two")
	}
	if d.onError != nil {
		defer func() { _ = recover() }()
		d.onError(err)
	}
}

// lastError is that of the last failed call, or nil.
func (d *dispatcher) lastError() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lastErr
}

// turned notes if publishing fails and tells if that is news worth a line.
func (d *dispatcher) turned(failing bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing == failing {
		return false
	}
	now := time.Now()
	if now.Sub(d.logged) < logPause && !d.logged.IsZero() {
		return false
	}
	d.failing, d.logged = failing, now
	return true
}
