package delivery

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// A Keeper writes down what Pending returns, so that it survives the process: a
// notice is written down before it is told, and that it was told soon after. Its
// methods are safe for concurrent use.
type Persister interface {
	// Changed counts a change of what is owed and returns its number, above
	// zero. It neither blocks nor calls the Deliverer: locks are held.
	Changed() uint64
	// Await returns when all changes up to one are written down. It gives up
	// when ctx ends, and when writing fails or takes too long: being told
	// matters more than being told once.
	Await(ctx context.Context, change uint64)
}

// Backlog is what a receiver owes: to be kept over a restart.
type Pending struct {
	Receiver string `json:"receiver"`
	// Notices are those not told yet, in order.
	Notifications []action.Notification `json:"notices,omitempty"`
	// Told are the incidents whose failure was told and whose recovery was not,
	// by monitor.
	Notified map[string]string `json:"told,omitempty"`
	// Tried are the keys of notices that were in one message that may have been
	// taken.
	Attempted []string `json:"tried,omitempty"`
	// Absent is since when nobody has added the receiver, zero if it is there.
	Absent time.Time `json:"absent,omitzero"`
}

// Pending returns what each receiver owes, ordered by name; receivers that owe
// nothing are left out. What is being told at the moment is included, and what
// was restored for receivers that were not added yet, for Options.MaxAge. Starts
// are not: whoever starts again tells that anew.
func (d *Deliverer) Pending() []Pending {
	owed := d.absent(time.Now())
	for _, r := range d.all() {
		if b := r.pending(); len(b.Notifications) > 0 || len(b.Notified) > 0 {
			owed = append(owed, b)
		}
	}
	slices.SortFunc(owed, func(a, b Pending) int { return cmp.Compare(a.Receiver, b.Receiver) })
	return owed
}

// absent returns what was restored for receivers that are not there, and forgets
// what is too old.
func (d *Deliverer) absent(now time.Time) (owed []Pending) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, b := range d.restored {
		if now.Sub(b.Absent) > d.opt.MaxAge {
			delete(d.restored, name)
			continue
		}
		owed = append(owed, b)
	}
	return owed
}

// Knowing returns the receivers that were told of an incident of a monitor, or
// will be, and not of its end, in no order.
func (d *Deliverer) Notified(monitor, incident string) []*Receiver {
	d.mu.Lock()
	all := slices.Collect(maps.Values(d.receivers))
	d.mu.Unlock()
	return slices.DeleteFunc(all, func(r *Receiver) bool { return !r.owesRecovery(monitor, incident) })
}

// Forget drops what all receivers remember of a monitor that is no more.
func (d *Deliverer) Forget(monitor string) {
	for _, r := range d.all() {
		r.Forget(monitor)
	}
}

// Restore hands back what Pending returned, before Run. It returns what is owed
// to receivers that were not added yet: whoever is not added within
// Options.MaxAge is not told.
func (d *Deliverer) Restore(owed []Pending) (absent []Pending) {
	for _, b := range owed {
		d.mu.Lock()
		r := d.receivers[b.Receiver]
		if r == nil {
			b.Absent = cmp.Or(b.Absent, time.Now())
			d.restored[b.Receiver] = b
			absent = append(absent, b)
		}
		d.mu.Unlock()
		if r != nil {
			r.restore(b)
		}
	}
	return absent
}
