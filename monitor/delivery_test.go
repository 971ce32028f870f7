package monitor

import (
	"maps"
	"slices"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/delivery"
)

// deliveries is a Delivery over a real Deliverer, and real actions or fakes.
type deliveries struct {
	*delivery.Deliverer
	kinds map[string]action.Kind
}

var _ Delivery = deliveries{}

// newDeliveries returns receivers for the kinds, which nobody runs.
func newDeliveries(kinds map[string]action.Kind) deliveries {
	return deliveries{delivery.NewDeliverer(delivery.Options{}), kinds}
}

func (d deliveries) Kinds() []string { return slices.Sorted(maps.Keys(d.kinds)) }
func (d deliveries) Changed()        { d.Deliverer.Changed() }

func (d deliveries) NewAction(kind string, decode func(any) error) (Action, error) {
	return d.kinds[kind](decode, action.Env{Host: "here"})
}

func (d deliveries) Add(name string, a Action) Receiver {
	return delivered{d.Deliverer.Add(name, a.(action.Action))}
}

func (d deliveries) Remove(name string) int { return len(d.Deliverer.Remove(name)) }

func (d deliveries) Knowing(monitor, incident string) (all []Receiver) {
	for _, r := range d.Deliverer.Notified(monitor, incident) {
		all = append(all, delivered{r})
	}
	return all
}

type delivered struct{ *delivery.Receiver }

func (r delivered) Pending() int { return r.Status().Depth }

func (r delivered) Enqueue(c Change) {
	r.Receiver.Enqueue(action.Notification{
		Monitor: c.Monitor, Host: "here", Event: action.Event(c.Event), Value: c.Value, Error: c.Error,
		Time: c.Time, Labels: c.Labels, Incident: c.Incident, Seq: c.Seq, Since: c.Since, Duration: c.Duration, Failures: c.Failures,
	})
}

// kept returns what a ledger writes down of the group and its receivers.
func kept(g *Group, d *delivery.Deliverer) (k delivery.Snapshot) {
	for _, i := range g.Incidents(func() { k.Pending = d.Pending() }) {
		k.Incidents = append(k.Incidents, delivery.Incident(i))
	}
	return k
}

// resume hands back what kept returned before a restart.
func resume(g *Group, d *delivery.Deliverer, k delivery.Snapshot) {
	d.Resume(k)
	var open []Incident
	for _, i := range k.Incidents {
		open = append(open, Incident(i))
	}
	g.Resume(open)
}
