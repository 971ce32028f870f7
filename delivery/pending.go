package delivery

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// A Persister saves what Pending returns, so that it survives the process. A
// notification is persisted before it is sent; that it was sent is persisted soon
// after. The methods are safe for concurrent use.
type Persister interface {
	// Changed counts a change of what is pending and returns its number, above
	// zero. It neither blocks nor calls the Deliverer: locks are held.
	Changed() uint64
	// Await returns when all changes up to the given one are persisted. It gives up
	// when ctx ends and when writing fails or takes too long: sending a notification
	// matters more than sending it only once.
	Await(ctx context.Context, change uint64)
}

// Pending is the part of a receiver's state that survives a restart.
type Pending struct {
	Receiver string `json:"receiver"`
	// Notifications are those not delivered yet, in order.
	Notifications []action.Notification `json:"notices,omitempty"`
	// Notified holds, by monitor, the incident whose failure was delivered and whose
	// recovery was not.
	Notified map[string]string `json:"told,omitempty"`
	// Attempted are the keys of the notifications of a message that may have been
	// delivered.
	Attempted []string `json:"tried,omitempty"`
	// Absent is since when the receiver has not been added; zero if it was.
	Absent time.Time `json:"absent,omitzero"`
}

// Pending returns what is pending at each receiver, ordered by name. Receivers
// without pending notifications or open incidents are left out. Notifications in
// flight are included, and so are those restored for receivers that were not added
// yet, for Options.MaxAge. Init notifications are not: the next run sends new ones.
func (d *Deliverer) Pending() []Pending {
	all := d.absent(time.Now())
	for _, r := range d.all() {
		if p := r.pending(); len(p.Notifications) > 0 || len(p.Notified) > 0 {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b Pending) int { return cmp.Compare(a.Receiver, b.Receiver) })
	return all
}

// absent returns what was restored for receivers that were not added yet, and
// drops what is older than Options.MaxAge.
func (d *Deliverer) absent(now time.Time) (all []Pending) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, p := range d.restored {
		if now.Sub(p.Absent) > d.opt.MaxAge {
			delete(d.restored, name)
			continue
		}
		all = append(all, p)
	}
	return all
}

// Notified returns, in no order, the receivers that were notified of an incident
// of a monitor, or will be, and have no recovery pending.
func (d *Deliverer) Notified(monitor, incident string) []*Receiver {
	d.mu.Lock()
	all := slices.Collect(maps.Values(d.receivers))
	d.mu.Unlock()
	return slices.DeleteFunc(all, func(r *Receiver) bool { return !r.owesRecovery(monitor, incident) })
}

// Forget drops what the receivers remember of a monitor that was removed.
func (d *Deliverer) Forget(monitor string) {
	for _, r := range d.all() {
		r.Forget(monitor)
	}
}

// Restore takes back what Pending returned. Call it before Run. It returns what is
// pending at receivers that were not added yet. They have Options.MaxAge to be
// added; then it is dropped.
func (d *Deliverer) Restore(pending []Pending) (absent []Pending) {
	for _, p := range pending {
		d.mu.Lock()
		r := d.receivers[p.Receiver]
		if r == nil {
			p.Absent = cmp.Or(p.Absent, time.Now())
			d.restored[p.Receiver] = p
			absent = append(absent, p)
		}
		d.mu.Unlock()
		if r != nil {
			r.restore(p)
		}
	}
	return absent
}
