package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/clock"
)

// Options configure a Deliverer. The zero value of each field means its default.
type Options struct {
	// Log receives failures, once per series. Nil discards them.
	Log *slog.Logger
	// Timeout is the deadline of an attempt whose action sets none; 30 s.
	Timeout time.Duration
	// Window is the shortest time between two messages of a receiver that groups; 10
	// s. After a quiet period the first message is sent at once.
	Window time.Duration
	// MinBackoff and MaxBackoff bound the time between two attempts after a failure;
	// 1 s and 5 min.
	MinBackoff, MaxBackoff time.Duration
	// MaxUnreachable bounds the time from the beginning of an attempt to the next one
	// while the receiver is Unreachable; 45 s.
	MaxUnreachable time.Duration
	// MaxRetryAfter bounds the delay that a receiver may request; 1 h.
	MaxRetryAfter time.Duration
	// MaxAge is how long delivery of a notification is tried; 24 h.
	MaxAge time.Duration
	// Concurrent bounds the concurrent attempts on one receiver, each for another
	// monitor; 10.
	Concurrent int
	// History bounds the pending notifications of one receiver about incidents that
	// are over and are not the newest of their monitor; 1,000. Beyond it, the
	// monitor's oldest such incident is dropped, failure and recovery.
	History int
	// Monitors bounds the monitors of one receiver that have pending notifications or
	// an open incident of which it was notified; 20,000. Notifications of others are
	// dropped.
	Monitors int
	// Stop is how long attempts may go on after the context of Run ended; 7 s.
	Stop time.Duration
	// Persister saves what is pending. Nil means that it is lost at the end of the
	// process.
	Persister Persister
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Timeout = cmp.Or(o.Timeout, action.DefaultTimeout)
	o.Window = cmp.Or(o.Window, 10*time.Second)
	o.MinBackoff = cmp.Or(o.MinBackoff, time.Second)
	o.MaxBackoff = cmp.Or(o.MaxBackoff, 5*time.Minute)
	o.MaxUnreachable = cmp.Or(o.MaxUnreachable, 45*time.Second)
	o.MaxRetryAfter = cmp.Or(o.MaxRetryAfter, time.Hour)
	o.MaxAge = cmp.Or(o.MaxAge, 24*time.Hour)
	o.Concurrent = cmp.Or(o.Concurrent, 10)
	o.History = cmp.Or(o.History, 1000)
	o.Monitors = cmp.Or(o.Monitors, 20_000)
	o.Stop = cmp.Or(o.Stop, 7*time.Second)
	return o
}

// stopSlack is how long Run waits for attempts after it cancelled them: longer than
// it takes to kill a program.
const stopSlack = 2 * time.Second

// phase is a state in the life of a Deliverer.
type phase int

const (
	idle phase = iota
	running
	draining
	stopped
)

// A Deliverer sends notifications to receivers. Its life: NewDeliverer, Restore if
// anything was pending, Add for each receiver, then Run. It is safe for concurrent
// use.
type Deliverer struct {
	opt   Options
	clock *clock.Clock // of all times but those that are shown or persisted

	mu        sync.Mutex // guards all following fields; locked after a receiver's mutex, never before
	receivers map[string]*Receiver
	restored  map[string]Pending // for receivers that were not added yet
	phase     phase
	attempts  context.Context // parent of all attempts, set by Run
	loops     int             // running
	done      chan struct{}   // closed in phase stopped
}

// NewDeliverer returns a Deliverer without receivers.
func NewDeliverer(opt Options) *Deliverer {
	return &Deliverer{
		opt:       opt.withDefaults(),
		clock:     clock.New(),
		receivers: map[string]*Receiver{},
		restored:  map[string]Pending{},
		done:      make(chan struct{}),
	}
}

// Add returns the receiver of a name, with a as its action. An existing receiver
// keeps its pending notifications, which now go to a.
func (d *Deliverer) Add(name string, a action.Action) *Receiver {
	d.mu.Lock()
	r := d.receivers[name]
	if r == nil {
		r = newReceiver(name, d)
		r.queue.draining = d.phase == draining
		d.receivers[name] = r
	}
	pending, ok := d.restored[name]
	delete(d.restored, name)
	d.mu.Unlock()
	r.setAction(a)
	if ok {
		r.restore(pending)
		d.Changed() // a snapshot made meanwhile lacks it
	}
	return r
}

// Remove removes a receiver and returns its pending notifications. They are not sent
// any more, except for those in flight.
func (d *Deliverer) Remove(name string) (pending []action.Notification) {
	d.mu.Lock()
	r := d.receivers[name]
	delete(d.receivers, name)
	d.mu.Unlock()
	if r == nil {
		return nil
	}
	d.Changed()
	return r.remove()
}

// Changed counts a change of something that the Persister saves together with what is
// pending. It returns zero without a Persister.
func (d *Deliverer) Changed() uint64 {
	if d.opt.Persister == nil {
		return 0
	}
	return d.opt.Persister.Changed()
}

// Run delivers until ctx ends. Then it makes one more attempt for everything pending,
// for Options.Stop at most, and returns when all attempts have ended. What was not
// delivered is in Pending. The error is nil unless an attempt ignores the end of its
// context. Run may be called once.
func (d *Deliverer) Run(ctx context.Context) error {
	attempts, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	if err := d.begin(attempts); err != nil {
		return err
	}
	<-ctx.Done()
	d.drain()
	hard := time.NewTimer(d.opt.Stop)
	defer hard.Stop()
	select {
	case <-d.done:
		return nil
	case <-hard.C:
	}
	cancel(errors.New("the program is stopping"))
	hard.Reset(stopSlack)
	select {
	case <-d.done:
		return nil
	case <-hard.C:
		return fmt.Errorf("stopping delivery: attempts of %d receivers did not end within %v of being cancelled", d.running(), stopSlack)
	}
}

func (d *Deliverer) begin(attempts context.Context) error {
	d.mu.Lock()
	if d.phase != idle {
		d.mu.Unlock()
		return errors.New("running delivery: Run was called before")
	}
	d.phase, d.attempts = running, attempts
	d.mu.Unlock()
	for _, r := range d.all() {
		r.ensureLoop()
	}
	return nil
}

// drain makes every receiver try everything pending at once.
func (d *Deliverer) drain() {
	d.mu.Lock()
	d.phase = draining
	d.mu.Unlock()
	for _, r := range d.all() {
		r.drain()
	}
	d.mu.Lock()
	d.endLocked()
	d.mu.Unlock()
}

// endLocked ends the life of d if it drains and no loop runs.
func (d *Deliverer) endLocked() {
	if d.phase == draining && d.loops == 0 {
		d.phase = stopped
		close(d.done)
	}
}

// loopStarted counts a loop and returns the context of its attempts, or nil if d does
// not run.
func (d *Deliverer) loopStarted() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.phase != running && d.phase != draining {
		return nil
	}
	d.loops++
	return d.attempts
}

// loopEnded counts the end of a loop.
func (d *Deliverer) loopEnded() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loops--
	d.endLocked()
}

func (d *Deliverer) running() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.loops
}

// all returns the receivers, ordered by name.
func (d *Deliverer) all() []*Receiver {
	d.mu.Lock()
	defer d.mu.Unlock()
	rs := make([]*Receiver, 0, len(d.receivers))
	for _, r := range d.receivers {
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b *Receiver) int { return cmp.Compare(a.name, b.name) })
	return rs
}

// Status returns the status of all receivers, ordered by name.
func (d *Deliverer) Status() []ReceiverStatus {
	rs := d.all()
	all := make([]ReceiverStatus, len(rs))
	for i, r := range rs {
		all[i] = r.Status()
	}
	return all
}
