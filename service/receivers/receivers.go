// Package receivers connects monitors to delivery and action, which know nothing of
// each other.
package receivers

import (
	"maps"
	"slices"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/monitor"
)

// receivers turns changes of monitors into notifications.
type receivers struct {
	deliverer *delivery.Deliverer
	kinds     map[string]action.Kind
	env       action.Env
}

// New returns a monitor.Delivery that adds receivers to d. Its actions are made by
// kinds in env; all notifications carry env's Host and Version.
func New(d *delivery.Deliverer, kinds map[string]action.Kind, env action.Env) monitor.Delivery {
	return receivers{d, kinds, env}
}

var _ monitor.Delivery = receivers{}

// Kinds implements monitor.Delivery.
func (r receivers) Kinds() []string { return slices.Sorted(maps.Keys(r.kinds)) }

// NewAction implements monitor.Delivery.
func (r receivers) NewAction(kind string, decode func(any) error) (monitor.Action, error) {
	return r.kinds[kind](decode, r.env)
}

// Add implements monitor.Delivery.
func (r receivers) Add(name string, a monitor.Action) monitor.Receiver {
	return r.receiver(r.deliverer.Add(name, a.(action.Action)))
}

// Remove implements monitor.Delivery.
func (r receivers) Remove(name string) (pending int) { return len(r.deliverer.Remove(name)) }

// Knowing implements monitor.Delivery.
func (r receivers) Knowing(name, incident string) []monitor.Receiver {
	var all []monitor.Receiver
	for _, found := range r.deliverer.Notified(name, incident) {
		all = append(all, r.receiver(found))
	}
	return all
}

// Forget implements monitor.Delivery.
func (r receivers) Forget(name string) { r.deliverer.Forget(name) }

// Changed implements monitor.Delivery.
func (r receivers) Changed() { r.deliverer.Changed() }

func (r receivers) receiver(of *delivery.Receiver) monitor.Receiver {
	return receiver{of, r.env.Host, r.env.Version}
}

// receiver is one receiver of a monitor.
type receiver struct {
	*delivery.Receiver
	host, version string
}

var _ monitor.Receiver = receiver{}

// Enqueue implements monitor.Receiver.
func (r receiver) Enqueue(c monitor.Change) {
	r.Receiver.Enqueue(action.Notification{
		Monitor: c.Monitor, Host: r.host, Version: r.version, Event: action.Event(c.Event),
		Value: c.Value, Error: c.Error, Time: c.Time, Labels: c.Labels,
		Incident: c.Incident, Seq: c.Seq, Since: c.Since, Duration: c.Duration, Failures: c.Failures,
	})
}

// Pending implements monitor.Receiver.
func (r receiver) Pending() int { return r.Status().Pending }

// Snapshot returns the open incidents of monitors and what is pending at their
// receivers, both at the same moment, for a Ledger.
func Snapshot(g *monitor.Group, d *delivery.Deliverer) (k delivery.Snapshot) {
	for _, i := range g.Incidents(func() { k.Pending = d.Pending() }) {
		k.Incidents = append(k.Incidents, delivery.Incident(i))
	}
	return k
}

// Resume restores what Snapshot returned before a restart.
func Resume(g *monitor.Group, d *delivery.Deliverer, k delivery.Snapshot) {
	d.Resume(k)
	open := make([]monitor.Incident, 0, len(k.Incidents))
	for _, i := range k.Incidents {
		open = append(open, monitor.Incident(i))
	}
	g.Resume(open)
}
