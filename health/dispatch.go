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
	// publishGap keeps a Reporter below 500 events a second, up to which go-micro's
	// http broker lost none when measured. It silently drops what exceeds a backlog of
	// 64 events.
	publishGap = 2 * time.Millisecond
	// The pause after a failed call doubles with each failure. The http broker keeps 64
	// events of a topic that it could not send, and sends the oldest first: frequent
	// retries would fill it with old events.
	minPause, maxPause = 100 * time.Millisecond, 5 * time.Second
	// logPause is the shortest time between two log lines about publishing.
	logPause = 10 * time.Second
)

var errNoAnswer = errors.New("the broker did not answer in time")

// dispatcher passes events from the outbox to the Publisher.
type dispatcher struct {
	out       *outbox
	counts    *counters
	publisher Publisher
	timeout   time.Duration
	onError   func(error)
	node      string
	logger    *slog.Logger
	// closing is closed when the last events are in the outbox.
	closing chan struct{}

	mu      sync.Mutex // guards all that follows
	failing bool
	logged  time.Time // last log line
	lastErr error     // of the last failed call
}

// run returns when ctx is done. Calls of the Publisher that hang are abandoned.
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
		d.pause(ctx)
		if ctx.Err() != nil {
			return
		}
	}
}

// send makes one call and waits until it returns, times out, or the Reporter closes.
func (d *dispatcher) send(ctx context.Context, e *event) {
	callCtx, cancel := context.WithTimeout(ctx, d.timeout)
	c, returned := &call{event: e}, make(chan struct{})
	go func() {
		defer close(returned)
		defer cancel()
		err := d.call(callCtx, e)
		if d.out.finished(c, err) || err == nil {
			d.report(e, err)
		}
	}()
	closing := d.closing
	if d.isClosing() {
		closing = nil
	}
	select {
	case <-returned:
	case <-closing:
		d.out.abandon(c, false)
	case <-callCtx.Done():
		if d.out.abandon(c, true) && ctx.Err() == nil {
			d.counts.unanswered.Add(1)
			d.report(e, fmt.Errorf("%w (%v)", errNoAnswer, d.timeout))
		}
	}
}

// call is the only place that calls the Publisher, which may hang or panic.
func (d *dispatcher) call(ctx context.Context, e *event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the publisher panicked: %v", p)
		}
	}()
	return d.publisher.Publish(ctx, e.key.topic, e.msg)
}

// pause waits before the next call: publishGap, or longer after a failed call. While
// the Reporter closes, it waits at most minPause.
func (d *dispatcher) pause(ctx context.Context) {
	delay := publishGap
	if n := d.out.failures(); n > 0 {
		delay = min(minPause<<min(n-1, 10), maxPause)
	}
	closing := d.closing
	if d.isClosing() {
		delay, closing = min(delay, minPause), nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-closing:
	case <-timer.C:
	}
}

func (d *dispatcher) isClosing() bool {
	select {
	case <-d.closing:
		return true
	default:
		return false
	}
}

// report counts the outcome of one call, logs it and calls the error function.
func (d *dispatcher) report(e *event, err error) {
	if err == nil {
		d.counts.published.Add(1)
		if d.shouldLog(false) {
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
	if d.shouldLog(true) {
		d.logger.Warn("publishing health events fails, retrying with the newest of each kind", "error", err,
			"hint", "check that the registry, the broker and monitor-srv run, and that monitor-srv uses the same registry and broker")
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

// shouldLog records whether publishing fails, and reports whether to log the change.
func (d *dispatcher) shouldLog(failing bool) bool {
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
