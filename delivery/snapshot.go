package delivery

import (
	"maps"
	"slices"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// Incident is an open incident of a monitor.
type Incident struct {
	Monitor string `json:"monitor"`
	// ID is the incident id that its notifications carry.
	ID       string    `json:"id"`
	Since    time.Time `json:"since"`
	Failures int       `json:"failures"`
	Seq      int64     `json:"seq"`
	// Absent is since when no monitor of this name is defined; zero if one is.
	Absent time.Time `json:"absent,omitzero"`
}

// Snapshot is what one run of the program passes to the next: the open incidents
// and the pending notifications of all receivers at one moment.
type Snapshot struct {
	Pending   []Pending
	Incidents []Incident
}

// Resume restores the snapshot of the previous run. Call it once, after the
// receivers of files were added and before Run.
func (d *Deliverer) Resume(s Snapshot) {
	open := make(map[string]string, len(s.Incidents))
	for _, i := range s.Incidents {
		open[i.Monitor] = i.ID
	}
	for _, p := range s.Pending {
		// In a damaged file a failure may have lost its incident. Nothing would ever
		// remove it.
		maps.DeleteFunc(p.Notified, func(monitor, incident string) bool {
			return open[monitor] != incident && !p.concerns(incident)
		})
	}
	for _, p := range d.Restore(s.Pending) {
		if len(p.Notifications) > 0 {
			d.opt.Log.Warn("receiver is not defined: its pending notifications are dropped after a day", "receiver", p.Receiver, "notifications", len(p.Notifications))
		}
	}
}

// concerns reports whether a notification about the incident is pending.
func (p Pending) concerns(incident string) bool {
	return slices.ContainsFunc(p.Notifications, func(n action.Notification) bool { return n.Incident == incident })
}
