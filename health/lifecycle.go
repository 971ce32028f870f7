package health

import (
	"context"
	"errors"
	"fmt"
)

// Start publishes STARTED and begins to run the checks. It does not wait for the
// broker. It returns an error, and starts nothing, if an option or a check is
// invalid, if there is no Publisher, or if it was called before. It has the form that
// micro.AfterStart takes.
func (r *Reporter) Start() error {
	// Without the lock: the server of go-micro holds its own while it waits for the
	// registry, and its options cannot be read until then.
	id, publisher, err := r.resolve()
	started, err := r.begin(id, publisher, err)
	if err != nil {
		return fmt.Errorf("starting the health reporter: %w", err)
	}
	r.observe(started)
	return nil
}

// begin starts everything and returns the status STARTED, unless err is set or
// something is invalid.
func (r *Reporter) begin(id Identity, publisher Publisher, err error) (*event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.phase {
	case phaseStarted:
		err = errStarted
	case phaseClosed:
		err = errClosed
	default:
		err = errors.Join(err, r.opts.validate(), r.addErr)
	}
	if err != nil {
		return nil, err
	}
	r.phase = phaseStarted
	r.id, r.publisher, r.usage = id, publisher, readUsage()
	r.address.Store(&id.Address)
	return r.startLocked(), nil
}

func (r *Reporter) startLocked() (started *event) {
	r.dispatcher = &dispatcher{
		out:       r.out,
		counts:    &r.counts,
		publisher: r.publisher,
		timeout:   r.opts.publishTimeout,
		onError:   r.opts.onError,
		node:      r.id.NodeID,
		logger:    r.opts.logger,
		closing:   make(chan struct{}),
	}
	started = r.putStatusLocked(NodeStarted)
	r.checks.begin(r.id.NodeID)
	r.checksDone, r.stopChecks = start(r.checks.run)
	r.sendsDone, r.stopSends = start(r.dispatcher.run)
	return started
}

// start runs f until stop is called. done is closed when f has returned.
func start(f func(context.Context)) (done chan struct{}, stop context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	done = make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	return done, stop
}

// resolve returns the identity and the Publisher, from the options and the service.
func (r *Reporter) resolve() (Identity, Publisher, error) {
	id, publisher := r.opts.identity, r.opts.publisher
	if r.service != nil {
		id = id.withDefaults(identityOf(r.service.Server().Options()))
		if publisher == nil {
			publisher = FromClient(r.service.Client())
		}
	}
	if publisher == nil {
		return id, nil, errors.New("no publisher: give NewReporter a service or WithPublisher")
	}
	return id, publisher, id.validate()
}

// learnAddress asks the server for its address until it is known: a server that
// could not register when it started learns it later. It asks in a goroutine, one at
// a time, because the server of go-micro holds its lock while it waits for the
// registry.
func (r *Reporter) learnAddress() {
	if r.service == nil || *r.address.Load() != "" || !r.asking.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer r.asking.Store(false)
		defer func() { _ = recover() }()
		address := addressOf(r.service.Server().Options())
		r.address.Store(&address)
	}()
}

// Close stops the checks, publishes STOPPED and the last stats, and waits until the
// queue is empty, at most 2 s or until ctx is done. It returns an error if events
// could not be published. Later calls wait for the first one and return the same
// error. A closed Reporter cannot be started again.
//
// The function of a check that ignores its context keeps its goroutine until it
// returns, and so does a call of the Publisher.
func (r *Reporter) Close(ctx context.Context) error {
	r.mu.Lock()
	before := r.phase
	r.phase = phaseClosed
	r.mu.Unlock()
	switch before {
	case phaseNew:
		close(r.closed)
	case phaseStarted:
		if err := r.shutdown(ctx); err != nil {
			r.closedErr = fmt.Errorf("closing the health reporter of %q: %w", r.id.NodeID, err)
		}
		close(r.closed)
	case phaseClosed:
		select {
		case <-r.closed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the health reporter of %q to close: %w", r.id.NodeID, ctx.Err())
		}
	}
	return r.closedErr
}

func (r *Reporter) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, closeTimeout, fmt.Errorf("gave up after %v", closeTimeout))
	defer cancel()

	r.checks.stop()
	r.stopChecks()
	<-r.checksDone
	r.putStatus(NodeStopped)
	r.emit(r.statsEvent())
	r.out.seal()
	close(r.dispatcher.closing)

	wait(ctx, r.out.flushed)
	r.stopSends()
	wait(ctx, r.sendsDone)
	err := r.flush(ctx)
	if !wait(ctx, r.checks.idle) {
		r.opts.logger.Warn("health checks do not obey their context", "checks", r.checks.unfinished())
	}
	return err
}

// wait reports whether done was closed before ctx was done.
func wait(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// flush returns an error if events are left in the outbox. Otherwise it flushes the
// Publisher.
func (r *Reporter) flush(ctx context.Context) error {
	if n, stopped := r.out.unsent(); n > 0 {
		what := fmt.Sprintf("events not published: %d", n)
		if stopped {
			what += ", STOPPED among them"
		}
		err := fmt.Errorf("%s: %w", what, context.Cause(ctx))
		if last := r.dispatcher.lastError(); last != nil {
			err = fmt.Errorf("%w (last error: %w)", err, last)
		}
		return err
	}
	if f, ok := r.publisher.(flusher); ok {
		return callFlush(ctx, f)
	}
	return nil
}

func callFlush(ctx context.Context, f flusher) error {
	flushed := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				flushed <- fmt.Errorf("the publisher panicked: %v", p)
			}
		}()
		flushed <- f.Flush(ctx)
	}()
	select {
	case err := <-flushed:
		if err != nil {
			return fmt.Errorf("flushing the publisher: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("flushing the publisher: %w", context.Cause(ctx))
	}
}
