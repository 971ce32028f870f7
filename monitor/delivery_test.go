package monitor

import (
	"maps"
	"slices"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/delivery"
)

// testDelivery is a Delivery with a real Deliverer and the given kinds of actions.
type testDelivery struct {
	*delivery.Deliverer
	kinds map[string]action.Kind
}

var _ Delivery = testDelivery{}

// newTestDelivery returns a testDelivery whose Deliverer does not run.
func newTestDelivery(kinds map[string]action.Kind) testDelivery {
	return testDelivery{delivery.NewDeliverer(delivery.Options{}), kinds}
}

func (d testDelivery) Kinds() []string { return slices.Sorted(maps.Keys(d.kinds)) }
func (d testDelivery) Changed()        { d.Deliverer.Changed() }

func (d testDelivery) NewAction(kind string, decode func(any) error) (Action, error) {
	return d.kinds[kind](decode, action.Env{Host: "here"})
}

func (d testDelivery) Add(name string, a Action) Receiver {
	return testReceiver{d.Deliverer.Add(name, a.(action.Action))}
}

func (d testDelivery) Remove(name string) int { return len(d.Deliverer.Remove(name)) }

func (d testDelivery) Knowing(monitor, incident string) (all []Receiver) {
	for _, r := range d.Deliverer.Notified(monitor, incident) {
		all = append(all, testReceiver{r})
	}
	return all
}

type testReceiver struct{ *delivery.Receiver }

func (r testReceiver) Pending() int { return r.Status().Depth }

func (r testReceiver) Enqueue(c Change) {
	r.Receiver.Enqueue(action.Notification{
		Monitor: c.Monitor, Host: "here", Event: action.Event(c.Event), Value: c.Value, Error: c.Error,
		Time: c.Time, Labels: c.Labels, Incident: c.Incident, Seq: c.Seq, Since: c.Since, Duration: c.Duration, Failures: c.Failures,
	})
}

// ledgerState returns what a ledger writes for a Group and its receivers.
func ledgerState(g *Group, d *delivery.Deliverer) (k delivery.Snapshot) {
	for _, i := range g.Incidents(func() { k.Pending = d.Pending() }) {
		k.Incidents = append(k.Incidents, delivery.Incident(i))
	}
	return k
}

// resumeLedger resumes the result of ledgerState after a restart.
func resumeLedger(g *Group, d *delivery.Deliverer, k delivery.Snapshot) {
	d.Resume(k)
	var open []Incident
	for _, i := range k.Incidents {
		open = append(open, Incident(i))
	}
	g.Resume(open)
}
