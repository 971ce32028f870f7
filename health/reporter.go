package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// Service is the part of a micro.Service that a Reporter needs. Both are asked
// for when the Reporter starts, so flags that replace them are obeyed.
type Service interface {
	Server() server.Server
	Client() client.Client
}

// closeTimeout bounds how long Close takes, whatever the broker does.
const closeTimeout = 2 * time.Second

var (
	errStarted = errors.New("the reporter has been started before")
	errClosed  = errors.New("the reporter is closed")
)

// Reporter runs the checks of one node and publishes them, with the node's
// status and stats. Its methods may be called from any goroutine, and none but
// Run and Close waits for a check or for the broker.
type Reporter struct {
	service   Service
	opts      options
	counts    counters
	stamps    stamps
	endpoints *endpointTable
	checks    *scheduler
	out       *outbox

	// Set by Start before any goroutine runs.
	id         Identity
	publisher  Publisher
	dispatcher *dispatcher
	stopChecks context.CancelFunc
	stopSends  context.CancelFunc
	checksDone chan struct{}
	sendsDone  chan struct{}
	address    atomic.Pointer[string] // where the node serves; empty until known
	asking     atomic.Bool            // somebody asks the server for it
	// usage at the last stats; belongs to the goroutine of checks, then to Close.
	usage usage

	mu        sync.Mutex // guards all that follows
	phase     phase
	addErr    error // of Check, until Start
	info      string
	lastStamp int64         // timestamp of the last status
	closed    chan struct{} // closed once Close is done
	closedErr error         // of Close, once closed is closed
}

type phase uint8

const (
	phaseNew phase = iota
	phaseStarted
	phaseClosed
)

// NewReporter makes a Reporter of a micro.Service, from which it takes what the
// options do not give: name, version, node id and address from the server, the
// Publisher from the client. With both WithIdentity and WithPublisher the service
// may be nil. Mistakes in the options are told by Start.
func NewReporter(service Service, opts ...Option) *Reporter {
	r := &Reporter{
		service:   service,
		opts:      newOptions(opts),
		endpoints: newEndpointTable(),
		closed:    make(chan struct{}),
	}
	r.info = r.opts.info
	r.out = newOutbox(r.opts.queueSize, &r.counts)
	r.checks = newScheduler(&r.counts, r.opts.interval)
	r.checks.judged = r.judged
	r.checks.beat = r.beat
	r.checks.panicked = func(c Check, v verdict, stack []byte) {
		r.opts.logger.Error("a health check panicked", "check", c.ID, "error", v.text, "stack", string(stack))
	}
	return r
}

// Check adds a check with default times. It may be called before Start, which
// then tells what was wrong with it, or at any time later, when that goes to the
// function of WithErrorFunc. Use Add to set more, or to get the error at once.
func (r *Reporter) Check(id, description string, run CheckFunc) {
	err := r.Add(Check{ID: id, Description: description, Run: run})
	if err == nil {
		return
	}
	r.mu.Lock()
	early := r.phase == phaseNew
	if early {
		r.addErr = errors.Join(r.addErr, err)
	}
	r.mu.Unlock()
	if !early && r.opts.onError != nil {
		defer func() { _ = recover() }()
		r.opts.onError(err)
	}
}

// Add adds checks, before Start or at any time later. One that is wrong keeps
// none of the others out. The first run of a check comes within a second.
func (r *Reporter) Add(checks ...Check) error {
	var errs error
	for _, c := range checks {
		c, err := c.withDefaults(r.opts.interval, r.opts.ttl)
		if err == nil {
			err = r.checks.add(c)
		}
		errs = errors.Join(errs, err)
	}
	if errs != nil {
		return fmt.Errorf("adding checks: %w", errs)
	}
	return nil
}

// Remove takes a check away and tells if there was one. The monitoring service
// is not told: it shows the check as UNKNOWN, and as missing after its ttl.
func (r *Reporter) Remove(id string) bool { return r.checks.remove(id) }

// Trigger asks for a run of a check at once, besides its normal ones: for when
// the service knows that something changed. If a run is under way, that one is
// the answer.
func (r *Reporter) Trigger(id string) error {
	if err := r.checks.trigger(id); err != nil {
		return fmt.Errorf("triggering check %.40q: %w", id, err)
	}
	return nil
}

// SetInfo sets the text of the statuses to come, that of STOPPED included, such
// as "draining for an upgrade". Cut at MaxText bytes.
func (r *Reporter) SetInfo(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.info = text
}

// Counters tells what happened so far.
func (r *Reporter) Counters() Counters { return r.counts.snapshot() }

// Stop is Close in the form that micro.BeforeStop wants. What Close could not
// publish is logged and not returned: a service that did its work has not failed
// because nobody heard it stop.
func (r *Reporter) Stop() error {
	if err := r.Close(context.Background()); err != nil {
		r.opts.logger.Error("health events were left behind at the end", "error", err)
	}
	return nil
}

// Run starts, waits for the end of ctx and closes.
func (r *Reporter) Run(ctx context.Context) error {
	if err := r.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	return r.Close(context.WithoutCancel(ctx))
}

// judged passes one verdict on.
func (r *Reporter) judged(c Check, v verdict) {
	if v.cut {
		r.counts.cut.Add(1)
	}
	r.emit(checkEvent(r.id, c, v, r.stamps.now()))
}

// beat publishes what is due each interval.
func (r *Reporter) beat() {
	r.learnAddress()
	r.putStatus(NodeRunning)
	r.emit(r.statsEvent())
}

// emit shows an event and has it published.
func (r *Reporter) emit(e *event) {
	r.observe(e)
	r.out.put(e)
}

// observe runs foreign code, so it is not called with a lock held.
func (r *Reporter) observe(e *event) {
	if r.opts.observer == nil {
		return
	}
	defer func() { _ = recover() }()
	r.opts.observer(e.key.topic, e.msg)
}

func (r *Reporter) putStatus(status healthpb.Status_Status) {
	r.mu.Lock()
	e := r.putStatusLocked(status)
	r.mu.Unlock()
	r.observe(e)
}

// putStatusLocked has a status published and leaves it to the caller to show it.
func (r *Reporter) putStatusLocked(status healthpb.Status_Status) *event {
	now := r.stamps.now()
	if status == NodeStopped && now <= r.lastStamp {
		// The http broker may deliver two events of the same second in either order,
		// and STOPPED has to win.
		now = r.lastStamp + 1
	}
	r.lastStamp = now
	info, cut := clip(r.info, MaxText)
	if cut {
		r.counts.cut.Add(1)
	}
	e := r.statusEvent(status, info, now)
	r.out.put(e)
	return e
}
