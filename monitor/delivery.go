package monitor

import "time"

// Event is the reason for a notification about a monitor.
type Event string

// The events. Init is the start of a monitor, see Receiver. Repeat is a reminder of a failure.
const (
	Init    Event = "init"
	Fail    Event = "fail"
	Repeat  Event = "repeat"
	Recover Event = "recover"
)

// Change is a change of a monitor's verdict, or a reminder of it, for the
// monitor's receivers.
type Change struct {
	Monitor string
	Event   Event
	// Value is the filtered value. Error is the error of the probe, or the threshold
	// that the value violates. It is empty unless the monitor is failing.
	Value float64
	Error string
	Time  time.Time
	// Incident identifies a failure, its reminders and its recovery. For Init it and
	// all fields below except Labels are zero.
	Incident string
	// Seq numbers the changes of one monitor, from 1.
	Seq int64
	// Since is the start of the incident. Duration is set for Recover only.
	Since    time.Time
	Duration time.Duration
	// Failures is the number of failed probes of the incident so far.
	Failures int
	Labels   map[string]string
}

// Action is what a receiver does with a Change. It is opaque to the Group.
type Action any

// Receiver is a destination of notifications. Equal values are the same
// destination.
type Receiver interface {
	Name() string
	// Inits reports whether the receiver is notified of a start of the monitor at
	// once, or after its first good result. The latter is not sent if the monitor
	// fails first, nor when a changed definition replaces another.
	Inits() (atOnce, onceGood bool)
	// Enqueue takes a change to deliver. It neither blocks nor calls the Group.
	Enqueue(c Change)
	// Forget drops the receiver's state of a removed monitor.
	Forget(monitor string)
	// InitPending reports whether the start of a monitor is not delivered yet.
	InitPending(monitor string) bool
	// Pending returns the number of changes that are not delivered yet.
	Pending() int
}

// Delivery creates receivers. Its methods may be called concurrently. Except for
// NewAction they neither block nor call the Group.
type Delivery interface {
	// Kinds returns the kinds of actions, sorted.
	Kinds() []string
	// NewAction creates an action of a known kind. decode decodes the keys of its
	// table into a struct.
	NewAction(kind string, decode func(target any) error) (Action, error)
	// Add adds a receiver that performs the action. If the name exists, Add replaces
	// its action.
	Add(name string, a Action) Receiver
	// Remove removes a receiver and returns the number of changes that were pending.
	Remove(name string) (pending int)
	// Knowing returns the receivers that were or will be notified of an incident, but
	// not of its recovery.
	Knowing(monitor, incident string) []Receiver
	// Forget drops the state of all receivers of a removed monitor.
	Forget(monitor string)
	// Changed is called after each change of the result of Incidents, even if there
	// are no receivers.
	Changed()
}
