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
)

// Options are the numbers of a Deliverer. The zero value of each field means
// its default.
type Options struct {
	// Log takes what goes wrong, once per series of failures. Nil logs nothing.
	Log *slog.Logger
	// Timeout is the deadline of an attempt whose action sets none; 30 s.
	Timeout time.Duration
	// Window is the time between two messages of a receiver that groups; 10 s.
	// The first message after a quiet time goes at once.
	Window time.Duration
	// MinBackoff and MaxBackoff are the shortest and the longest time between
	// two attempts on a receiver that fails; 1 s and 5 min.
	MinBackoff, MaxBackoff time.Duration
	// MaxUnreachable is the longest time between the beginnings of two attempts
	// on a receiver that is Unreachable; 45 s.
	MaxUnreachable time.Duration
	// MaxRetryAfter is the longest time that a receiver may ask for; 1 h.
	MaxRetryAfter time.Duration
	// MaxAge is how long a notice is tried; 24 h.
	MaxAge time.Duration
	// Concurrent bounds the attempts at a time on one receiver, each for another
	// monitor; 10.
	Concurrent int
	// History bounds the notices that wait in one receiver of incidents that are
	// over and are not the newest of their monitor; 1,000. Beyond it, a
	// monitor's oldest such incident is dropped, failure and recovery.
	History int
	// Monitors bounds the monitors that one receiver knows, having something
	// to tell of them or having told of a failure; 20,000. Notices of others
	// are dropped.
	Monitors int
	// Stop is how long attempts go on once Run is to end; 7 s.
	Stop time.Duration
	// Keeper writes down what is owed. Nil means that nobody does.
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

// stopSlack is how long Run waits for attempts after it cancelled them: longer
// than a program needs to be killed.
const stopSlack = 2 * time.Second

// phase is where the life of a Deliverer stands.
type phase int

const (
	idle phase = iota
	running
	draining
	stopped
)

// A Deliverer passes notices to receivers. Its life: NewDeliverer, Restore if
// there is something, Add for each receiver, then Run. It is safe for
// concurrent use.
type Deliverer struct {
	opt Options

	mu        sync.Mutex // guards all following fields; taken after a receiver's, never before
	receivers map[string]*Receiver
	restored  map[string]Pending // of receivers that were not added yet
	phase     phase
	attempts  context.Context // of all attempts, from Run on
	loops     int             // that run
	done      chan struct{}   // closed when stopped
}

// NewDeliverer returns a Deliverer without receivers.
func NewDeliverer(opt Options) *Deliverer {
	return &Deliverer{
		opt:       opt.withDefaults(),
		receivers: map[string]*Receiver{},
		restored:  map[string]Pending{},
		done:      make(chan struct{}),
	}
}

// Add returns the receiver of a name, with a as its action. A receiver that
// exists keeps what it has still to tell, which a is then told.
func (d *Deliverer) Add(name string, a action.Action) *Receiver {
	d.mu.Lock()
	r := d.receivers[name]
	if r == nil {
		r = newReceiver(name, d)
		r.queue.draining = d.phase == draining
		d.receivers[name] = r
	}
	saved, ok := d.restored[name]
	delete(d.restored, name)
	d.mu.Unlock()
	r.setAction(a)
	if ok {
		r.restore(saved)
		d.Changed() // what was seen meanwhile lacks it
	}
	return r
}

// Remove forgets a receiver. What it had still to tell is returned and not told
// any more, except for attempts under way.
func (d *Deliverer) Remove(name string) (untold []action.Notification) {
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

// Changed counts a change of something that the Keeper writes down together with
// what is owed. It returns zero without a Keeper.
func (d *Deliverer) Changed() uint64 {
	if d.opt.Persister == nil {
		return 0
	}
	return d.opt.Persister.Changed()
}

// Run delivers until ctx ends. Then it makes one more attempt at whatever waits,
// for Options.Stop at most, and returns when all attempts have ended. The error
// is nil unless an attempt did not end although its context did; what is
// untold then is in Pending. Run may be called once.
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
	cancel(errors.New("the program stops"))
	hard.Reset(stopSlack)
	select {
	case <-d.done:
		return nil
	case <-hard.C:
		return fmt.Errorf("stopping actions: %d receivers have attempts that do not end", d.running())
	}
}

func (d *Deliverer) begin(attempts context.Context) error {
	d.mu.Lock()
	if d.phase != idle {
		d.mu.Unlock()
		return errors.New("running actions: already run")
	}
	d.phase, d.attempts = running, attempts
	d.mu.Unlock()
	for _, r := range d.all() {
		r.ensureLoop()
	}
	return nil
}

// drain makes every receiver try at once what it has still to tell.
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

// endLocked ends the life of d when it drains and nothing runs.
func (d *Deliverer) endLocked() {
	if d.phase == draining && d.loops == 0 {
		d.phase = stopped
		close(d.done)
	}
}

// enter counts a loop that starts and returns the context of its attempts, or
// nil if d does not run.
func (d *Deliverer) loopStarted() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.phase != running && d.phase != draining {
		return nil
	}
	d.loops++
	return d.attempts
}

// leave counts a loop that ended.
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

// State returns the states of all receivers, ordered by name.
func (d *Deliverer) Status() []ReceiverStatus {
	rs := d.all()
	states := make([]ReceiverStatus, len(rs))
	for i, r := range rs {
		states[i] = r.Status()
	}
	return states
}
