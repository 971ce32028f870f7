package delivery

import (
	"maps"
	"slices"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// Incident is an open incident of a monitor, as it is written down beside what is
// pending of it.
type Incident struct {
	Monitor string `json:"monitor"`
	// ID is that of every notification of it.
	ID       string    `json:"id"`
	Since    time.Time `json:"since"`
	Failures int       `json:"failures"`
	Seq      int64     `json:"seq"`
	// Absent is since when there is no such monitor, zero if there is one.
	Absent time.Time `json:"absent,omitzero"`
}

// Kept is what one run of the program leaves to the next: the open incidents, and
// what is pending at receivers, all of one moment.
type Snapshot struct {
	Pending   []Pending
	Incidents []Incident
}

// Resume takes back what the run before left. It is to be called once, when the
// receivers of files are there and before Run.
func (d *Deliverer) Resume(k Snapshot) {
	open := make(map[string]string, len(k.Incidents))
	for _, i := range k.Incidents {
		open[i.Monitor] = i.ID
	}
	for _, b := range k.Pending {
		// A failure without its incident, in a damaged file, would be remembered for
		// ever.
		maps.DeleteFunc(b.Notified, func(monitor, incident string) bool {
			return open[monitor] != incident && !isPending(b, incident)
		})
	}
	for _, b := range d.Restore(k.Pending) {
		if len(b.Notifications) > 0 {
			d.opt.Log.Warn("notifications wait for a receiver that is not defined; after a day they are dropped", "receiver", b.Receiver, "notices", len(b.Notifications))
		}
	}
}

// concerns tells whether a notification of the incident is pending.
func isPending(b Pending, incident string) bool {
	return slices.ContainsFunc(b.Notifications, func(n action.Notification) bool { return n.Incident == incident })
}
