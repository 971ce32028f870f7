package action

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Event is what a notice tells of its monitor.
type Event string

// The events. Init, Fail and Recover are goma's.
const (
	// Init tells that the monitor starts. It is passed on as best one can.
	Init Event = "init"
	// Fail tells that an incident began.
	Fail Event = "fail"
	// Recover tells that the incident is over.
	Recover Event = "recover"
	// Repeat reminds of an incident that goes on.
	Repeat Event = "repeat"
)

// goma returns the event as goma's receivers know it: a reminder is a failure.
func (e Event) goma() string {
	if e == Repeat {
		return string(Fail)
	}
	return string(e)
}

// Notice is one thing to tell. It is never changed once it is handed over.
type Notification struct {
	// Monitor is the name of the monitor, Host the machine it runs on.
	Monitor, Host string
	Event         Event
	// Incident is the id of the incident, empty for Init only.
	Incident string
	// Seq orders the notices of a monitor.
	Seq int64
	// Value is the judged value. It is NaN if there is none.
	Value float64
	// Error is why the probe failed, or which threshold its value is beyond; empty
	// on Init and Recover.
	Error string
	// Since is when the incident began, Time when the event happened.
	Since, Time time.Time
	// Duration is how long the failure lasted, on Recover.
	Duration time.Duration
	// Version is that of this program.
	Version string
	Labels  map[string]string
	// Failures counts the failed probes of the incident so far.
	Failures int
}

// Key names the notice among all of all time: a copy of it has the same key.
// It holds letters, digits, '-' and what the id of the incident holds.
func (n Notification) Key() string {
	switch n.Event {
	case Init:
		return fmt.Sprintf("%s-%s-%d", n.Monitor, n.Event, n.Time.UnixNano())
	case Repeat:
		return fmt.Sprintf("%s-%s-%d", n.Incident, n.Event, n.Seq)
	}
	return n.Incident + "-" + string(n.Event)
}

// seconds returns the duration in whole seconds, as goma gives it.
func (n Notification) seconds() int { return int(n.Duration / time.Second) }

// value returns the value as goma writes it.
func (n Notification) value() string { return strconv.FormatFloat(n.Value, 'g', -1, 64) }

// wire is a notice as JSON: no number that JSON lacks, and times in UTC.
type notificationJSON struct {
	Monitor  string            `json:"monitor"`
	Host     string            `json:"host,omitempty"`
	Event    Event             `json:"event"`
	Incident string            `json:"incident,omitempty"`
	Seq      int64             `json:"seq"`
	Value    *float64          `json:"value,omitempty"` // absent if it is not a finite number
	Error    string            `json:"error,omitempty"`
	Since    time.Time         `json:"since,omitzero"`
	Time     time.Time         `json:"time"`
	Duration float64           `json:"duration,omitempty"` // seconds
	Version  string            `json:"version,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Failures int               `json:"failures,omitempty"`
}

// MarshalJSON writes the notice with times in UTC and the duration in seconds. A
// value that is not a finite number is left out.
func (n Notification) MarshalJSON() ([]byte, error) {
	w := notificationJSON{
		Monitor: n.Monitor, Host: n.Host, Event: n.Event, Incident: n.Incident, Seq: n.Seq, Error: n.Error,
		Since: n.Since.UTC(), Time: n.Time.UTC(), Duration: n.Duration.Seconds(),
		Version: n.Version, Labels: n.Labels, Failures: n.Failures,
	}
	if !math.IsNaN(n.Value) && !math.IsInf(n.Value, 0) {
		w.Value = &n.Value
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote. An absent value becomes NaN.
func (n *Notification) UnmarshalJSON(b []byte) error {
	var w notificationJSON
	if err := json.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("reading a notice: %w", err)
	}
	*n = Notification{
		Monitor: w.Monitor, Host: w.Host, Event: w.Event, Incident: w.Incident, Seq: w.Seq, Error: w.Error,
		Since: w.Since, Time: w.Time, Duration: time.Duration(w.Duration * float64(time.Second)),
		Version: w.Version, Labels: w.Labels, Failures: w.Failures, Value: math.NaN(),
	}
	if w.Value != nil {
		n.Value = *w.Value
	}
	return nil
}
