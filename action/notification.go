package action

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Event is the kind of a notification.
type Event string

// The events. Init, Fail and Recover are those of goma.
const (
	// Init says that the monitor starts. It is best effort.
	Init Event = "init"
	// Fail says that an incident began.
	Fail Event = "fail"
	// Recover says that the incident is over.
	Recover Event = "recover"
	// Repeat is a reminder of an open incident.
	Repeat Event = "repeat"
)

// goma returns the event as receivers of goma know it: a reminder is a failure.
func (e Event) goma() string {
	if e == Repeat {
		return string(Fail)
	}
	return string(e)
}

// Notification is one message to a receiver. It is not modified after it was
// enqueued.
type Notification struct {
	// Monitor is the name of the monitor; Host is the machine it runs on.
	Monitor, Host string
	Event         Event
	// Incident is the id of the incident; empty for Init.
	Incident string
	// Seq orders the notifications of a monitor.
	Seq int64
	// Value is the judged value, NaN if there is none.
	Value float64
	// Error is why the probe failed, or which threshold its value exceeds; empty for
	// Init and Recover.
	Error string
	// Since is when the incident began; Time is when the event happened.
	Since, Time time.Time
	// Duration is the length of the incident, for Recover.
	Duration time.Duration
	// Version is the version of this program.
	Version string
	Labels  map[string]string
	// Failures counts the failed probes of the incident so far.
	Failures int
}

// Key identifies the notification; a copy has the same key. It holds letters, digits,
// '-' and the characters of the incident id.
func (n Notification) Key() string {
	switch n.Event {
	case Init:
		return fmt.Sprintf("%s-%s-%d", n.Monitor, n.Event, n.Time.UnixNano())
	case Repeat:
		return fmt.Sprintf("%s-%s-%d", n.Incident, n.Event, n.Seq)
	}
	return n.Incident + "-" + string(n.Event)
}

// seconds returns the duration in whole seconds, as goma sends it.
func (n Notification) seconds() int { return int(n.Duration / time.Second) }

// value returns the value as goma formats it.
func (n Notification) value() string { return strconv.FormatFloat(n.Value, 'g', -1, 64) }

// notificationJSON is a Notification in JSON, with finite numbers only and times in
// UTC.
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

// MarshalJSON encodes times in UTC and the duration in seconds. A value that is not
// finite is left out.
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

// UnmarshalJSON decodes what MarshalJSON encoded. An absent value becomes NaN.
func (n *Notification) UnmarshalJSON(b []byte) error {
	var w notificationJSON
	if err := json.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("decoding a notification: %w", err)
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
