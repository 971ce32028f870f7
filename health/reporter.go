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

// Service is the part of a micro.Service that a Reporter uses. The Reporter calls
// both methods when it starts, so flags that replace the server or the client are
// obeyed.
type Service interface {
	Server() server.Server
	Client() client.Client
}

// closeTimeout is the longest that Close takes.
const closeTimeout = 2 * time.Second

var (
	errStarted = errors.New("the reporter has been started before")
	errClosed  = errors.New("the reporter is closed")
)

// Reporter runs the checks of one node and publishes their results, and the status
// and stats of the node. Make one with NewReporter, start it once with Start, and
// close it with Stop or Close; or call Run, which does both.
//
// Its methods may be called from any goroutine. Only Run, Stop and Close wait for
// the broker.
type Reporter struct {
	service    Service
	opts       options
	counts     counters
	timestamps timestamps
	endpoints  *endpointTable
	checks     *scheduler
	out        *outbox

	// Set by Start before any goroutine runs.
	id         Identity
	publisher  Publisher
	dispatcher *dispatcher
	stopChecks context.CancelFunc
	stopSends  context.CancelFunc
	checksDone chan struct{}
	sendsDone  chan struct{}
	address    atomic.Pointer[string] // of the node; empty until known
	asking     atomic.Bool            // a goroutine is asking the server for it
	// usage at the last stats. It belongs to the goroutine of the scheduler, then to
	// Close.
	usage usage

	mu            sync.Mutex // guards all that follows
	phase         phase
	addErr        error // errors of Check before Start
	info          string
	lastTimestamp int64         // of the last status, unix seconds
	closed        chan struct{} // closed when Close is done
	closedErr     error         // what Close returns; set before closed is closed
}

type phase uint8

const (
	phaseNew phase = iota
	phaseStarted
	phaseClosed
)

// NewReporter returns a Reporter for service, which is usually a micro.Service. Name,
// version, node id, address and metadata come from its server, the Publisher from
// its client, unless options say otherwise. With both WithIdentity and WithPublisher,
// service may be nil.
//
// NewReporter does no I/O and starts no goroutine. Start returns the errors of the
// options.
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
	r.checks.onResult = r.publishResult
	r.checks.onInterval = r.publishNode
	r.checks.onPanic = func(c Check, result checkResult, stack []byte) {
		r.opts.logger.Error("a health check panicked", "check", c.ID, "error", result.text, "stack", string(stack))
	}
	return r
}

// Check adds a check with the default interval, timeout and TTL. Use Add to set
// them.
//
// Before Start, an error is kept and returned by Start. After that, it goes to the
// function of WithErrorFunc and is otherwise lost; use Add to get it.
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

// Add adds checks, before Start or later. The first run of a check begins within a
// second of the start, or of Add.
//
// Checks that are invalid, have the id of another check, or exceed MaxChecks are not
// added; Add returns their errors, joined. The other checks are added.
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

// Remove removes a check and reports whether there was one with that id. A run that
// is under way goes on, but its result is not published. The monitoring service is
// not notified: it shows the check as UNKNOWN, and as missing after its TTL.
func (r *Reporter) Remove(id string) bool { return r.checks.remove(id) }

// Trigger runs a check at once, in addition to its interval, and does not wait for
// it. Use it when the service knows that something changed. If a run is under way,
// there is no second one. Trigger returns an error if there is no such check or if
// the Reporter is not running.
func (r *Reporter) Trigger(id string) error {
	if err := r.checks.trigger(id); err != nil {
		return fmt.Errorf("triggering check %.40q: %w", id, err)
	}
	return nil
}

// SetInfo sets the text of the statuses that follow, including STOPPED, such as
// "draining for an upgrade". At most MaxText bytes; more is truncated.
func (r *Reporter) SetInfo(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.info = text
}

// Counters returns the counts since the Reporter was made.
func (r *Reporter) Counters() Counters { return r.counts.snapshot() }

// Stop closes the Reporter as Close does, in the form that micro.BeforeStop takes.
// It logs the error of Close and returns nil: a service that did its work has not
// failed because its last event was lost.
func (r *Reporter) Stop() error {
	if err := r.Close(context.Background()); err != nil {
		r.opts.logger.Error("health events were left behind at the end", "error", err)
	}
	return nil
}

// Run starts the Reporter, waits until ctx is done, and closes it. It returns the
// error of Start or of Close.
func (r *Reporter) Run(ctx context.Context) error {
	if err := r.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	return r.Close(context.WithoutCancel(ctx))
}

// publishResult publishes the result of one run.
func (r *Reporter) publishResult(c Check, result checkResult) {
	if result.cut {
		r.counts.cut.Add(1)
	}
	r.emit(checkEvent(r.id, c, result, r.timestamps.now()))
}

// publishNode publishes status and stats, each interval.
func (r *Reporter) publishNode() {
	r.learnAddress()
	r.putStatus(NodeRunning)
	r.emit(r.statsEvent())
}

// emit gives an event to the observer and to the outbox.
func (r *Reporter) emit(e *event) {
	r.observe(e)
	r.out.put(e)
}

// observe calls the observer, which is not our code, so no lock may be held.
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

// putStatusLocked gives a status to the outbox. The caller gives it to the observer.
func (r *Reporter) putStatusLocked(status healthpb.Status_Status) *event {
	now := r.timestamps.now()
	if status == NodeStopped && now <= r.lastTimestamp {
		// The http broker may deliver two events of the same second in either order,
		// and STOPPED has to win.
		now = r.lastTimestamp + 1
	}
	r.lastTimestamp = now
	info, cut := truncate(r.info, MaxText)
	if cut {
		r.counts.cut.Add(1)
	}
	e := r.statusEvent(status, info, now)
	r.out.put(e)
	return e
}
