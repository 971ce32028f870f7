package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// call is one attempt that a fake action saw.
type call struct {
	at            time.Duration // since the fake was made
	notifications []action.Notification
	err           error
}

// fake is an action that runs a function of the test.
type fake struct {
	group    bool
	deadline time.Duration
	do       func(ctx context.Context, n int, ns []action.Notification) error // n counts calls from 1

	mu      sync.Mutex // guards all following fields
	begin   time.Time
	calls   []call
	started int
	active  int
	most    int // calls at a time
}

func newFake(group bool, do func(ctx context.Context, n int, ns []action.Notification) error) *fake {
	return &fake{group: group, do: do, begin: time.Now()}
}

func (f *fake) Groups() bool            { return f.group }
func (f *fake) Deadline() time.Duration { return f.deadline }

func (f *fake) Notify(ctx context.Context, ns []action.Notification) error {
	f.mu.Lock()
	f.started++
	n, at := f.started, time.Since(f.begin)
	f.active++
	f.most = max(f.most, f.active)
	f.mu.Unlock()
	var err error
	defer func() {
		f.mu.Lock()
		f.active--
		f.calls = append(f.calls, call{at, slices.Clone(ns), err})
		f.mu.Unlock()
	}()
	if f.do != nil {
		err = f.do(ctx, n, ns)
	}
	return err
}

// taken returns the delivered notifications, in order, and all attempts.
func (f *fake) taken() (delivered []action.Notification, calls []call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c.err == nil {
			delivered = append(delivered, c.notifications...)
		}
	}
	return delivered, slices.Clone(f.calls)
}

// starts returns when attempts began, in order.
func (f *fake) starts() []time.Duration {
	_, calls := f.taken()
	var at []time.Duration
	for _, c := range calls {
		at = append(at, c.at)
	}
	slices.Sort(at)
	return at
}

// failUntil returns a function for newFake that fails for a while.
func failUntil(until time.Duration) func(context.Context, int, []action.Notification) error {
	begin := time.Now()
	return func(context.Context, int, []action.Notification) error {
		if time.Since(begin) < until {
			return errors.New("down")
		}
		return nil
	}
}

// unreachableUntil returns a function for newFake that is unreachable for a while.
func unreachableUntil(until time.Duration) func(context.Context, int, []action.Notification) error {
	do := failUntil(until)
	return func(ctx context.Context, n int, ns []action.Notification) error {
		if err := do(ctx, n, ns); err != nil {
			return fmt.Errorf("telling: %w", &action.Unreachable{Err: err})
		}
		return nil
	}
}

// deliver runs a Deliverer in the background. stop ends it and returns how long that
// took and the error of Run.
func deliver(t *testing.T, opt Options) (d *Deliverer, stop func() (time.Duration, error)) {
	t.Helper()
	d = NewDeliverer(opt)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stopped := false
	stop = func() (time.Duration, error) {
		if stopped {
			return 0, nil
		}
		stopped = true
		begin := time.Now()
		cancel()
		err := <-done
		return time.Since(begin), err
	}
	t.Cleanup(func() { _, _ = stop() })
	return d, stop
}

func fail(monitor, incident string) action.Notification {
	return action.Notification{Monitor: monitor, Event: action.Fail, Incident: incident, Time: time.Now(), Value: 1}
}

func recovery(monitor, incident string) action.Notification {
	return action.Notification{Monitor: monitor, Event: action.Recover, Incident: incident, Time: time.Now()}
}

// A failure of the monitor db.
var (
	sampleSince = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	sampleFail  = action.Notification{
		Monitor: "db", Host: "host1", Event: action.Fail, Incident: "01ABC", Seq: 7, Value: 1.5, Error: "no answer",
		Since: sampleSince, Time: sampleSince, Version: "1.2.3", Failures: 3,
	}
)

func sampleEnv() action.Env { return action.Env{Host: "host1", Version: "1.2.3"} }

// makeAction makes an action of a kind from TOML.
func makeAction(tb testing.TB, kind, keys string) action.Action {
	tb.Helper()
	a, err := action.Builtin()[kind](testkit.DecodeTOML(keys), sampleEnv())
	if err != nil {
		tb.Fatalf("making an action of kind %s: %v", kind, err)
	}
	return a
}

// actionWithDeadline replaces the deadline of an action.
type actionWithDeadline struct {
	action.Action
	deadline time.Duration
}

func (h actionWithDeadline) Deadline() time.Duration { return h.deadline }

func (h actionWithDeadline) Groups() bool {
	g, ok := h.Action.(action.Grouper)
	return ok && g.Groups()
}

// slowly is a delivery function that takes d.
func slowly(d time.Duration) func(context.Context, int, []action.Notification) error {
	return func(context.Context, int, []action.Notification) error { time.Sleep(d); return nil }
}

// encodePending returns what is pending as it is saved.
func encodePending(d *Deliverer) []byte {
	text, err := json.Marshal(d.Pending())
	if err != nil {
		panic(err)
	}
	return text
}

func decodePending(t *testing.T, text []byte) (pending []Pending) {
	t.Helper()
	if err := json.Unmarshal(text, &pending); err != nil {
		t.Fatal(err)
	}
	return pending
}

// receiving adds a fake receiver to a deliverer with default options.
func receiving(t *testing.T, group bool, do func(context.Context, int, []action.Notification) error) (*fake, *Receiver) {
	t.Helper()
	f := newFake(group, do)
	d, _ := deliver(t, Options{})
	return f, d.Add("r", f)
}

// enqueueFailures enqueues the failures of n monitors, with a pause after each.
func enqueueFailures(r *Receiver, n int, pause time.Duration) {
	for i := range n {
		r.Enqueue(fail(fmt.Sprint("m", i), fmt.Sprint(i)))
		time.Sleep(pause)
	}
}
