package monitor

import "time"

// Event is what happened to a monitor.
type Event string

// The events. A monitor that starts has no incident; Repeat is a reminder of a
// failure that goes on.
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
	// Value as filtered; Error is why the probe failed, or which threshold the
	// value violates, and is empty unless the monitor fails.
	Value float64
	Error string
	Time  time.Time
	// Incident identifies the failure and its end. It is empty for Init, as are
	// all fields below but Labels.
	Incident string
	// Seq numbers the changes of one monitor from 1 on.
	Seq int64
	// Since is when the incident began, and Duration how long it took, if it is
	// over.
	Since    time.Time
	Duration time.Duration
	// Failures is the number of failed probes of the incident so far.
	Failures int
	Labels   map[string]string
}

// Action is what a receiver does with a Change. The Group only passes it on.
type Action any

// Receiver is one destination. Two values are equal if they are the same
// destination.
type Receiver interface {
	Name() string
	// Enqueue takes a change. It neither blocks nor calls the Group.
	Enqueue(c Change)
	// Forget drops what the receiver remembers of a monitor that was removed.
	Forget(monitor string)
	// Pending is the number of changes that were not delivered yet.
	Pending() int
}

// Delivery makes receivers of the tables of actions. Its methods may be called
// from several goroutines; except for NewAction they neither block nor call the
// Group.
type Delivery interface {
	// Kinds returns the known kinds of actions, sorted.
	Kinds() []string
	// NewAction makes an action of a known kind. decode moves the keys of its
	// table into a struct.
	NewAction(kind string, decode func(target any) error) (Action, error)
	// Add returns the receiver of a name, which from now on does what a does.
	Add(name string, a Action) Receiver
	// Remove removes a receiver and returns the number of changes that were not
	// delivered.
	Remove(name string) (pending int)
	// Knowing returns the receivers that were or will be notified of an incident
	// and not of its end.
	Knowing(monitor, incident string) []Receiver
	// Forget drops what all receivers remember of a monitor that was removed.
	Forget(monitor string)
	// Changed is called after each change of what Incidents returns, even if
	// nobody is notified of it.
	Changed()
}
