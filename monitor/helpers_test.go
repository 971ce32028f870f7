package monitor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
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

func (r testReceiver) Pending() int { return r.Status().Pending }

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

// monitorTOML returns a monitor with a fake probe and a fake inline action.
func monitorTOML(name, keys string) string {
	return fmt.Sprintf("[[monitor]]\nname = %q\n%s\n[monitor.probe]\ntype = \"fake\"\nname = %q\n[[monitor.actions]]\ntype = \"fake\"\n", name, keys, name)
}

// manyMonitors returns n monitors m0, m1 and so on.
func manyMonitors(n int, keys string) string {
	var all strings.Builder
	for i := range n {
		all.WriteString(monitorTOML(fmt.Sprintf("m%d", i), keys))
	}
	return all.String()
}

// monitorWithActions returns a monitor with a fake probe and the TOML of its actions.
func monitorWithActions(name, actions string) string {
	return fmt.Sprintf("[[monitor]]\nname = %q\ninterval = 10\n[monitor.probe]\ntype = \"fake\"\nname = %q\n%s", name, name, actions)
}

func inlineAction(to string) string {
	return fmt.Sprintf("[[monitor.actions]]\ntype = \"fake\"\nto = %q\n", to)
}

// monitorFor returns a monitor whose actions name receivers.
func monitorFor(name string, receivers ...string) string {
	actions := ""
	for _, r := range receivers {
		actions += fmt.Sprintf("[[monitor.actions]]\nreceiver = %q\n", r)
	}
	return monitorWithActions(name, actions)
}

const opsReceiver = "[[receiver]]\nname = \"ops\"\ntype = \"fake\"\nto = \"ops\"\n"

// instance is a bench with a ledger on a disk.
type instance struct {
	*bench
	disk   *testkit.MemDisk
	ledger *delivery.Ledger
	stop   func()
}

// kill stops the instance and returns the disk as a kill would leave it.
func (l *instance) kill() *testkit.MemDisk {
	after := l.disk.Killed()
	l.stop()
	return after
}

// sent returns all notifications except those of Init.
func (l *instance) sent() (ns []action.Notification) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.notifications), func(n action.Notification) bool { return n.Event == action.Init })
}

func (l *instance) sentEvents() string {
	events := eventsOf(l.sent())
	slices.Sort(events)
	return strings.Join(events, " ")
}

// startInstance starts an instance with a document and resumes the state of the disk.
func startInstance(t *testing.T, d *testkit.MemDisk, files string) *instance {
	t.Helper()
	return startAfter(t, d, files, func(*Group) {})
}

// startAfter is startInstance after prepare, which is passed the Group without monitors.
func startAfter(t *testing.T, d *testkit.MemDisk, files string, prepare func(*Group)) *instance {
	t.Helper()
	records := openRecords(t, d, "/state")
	j, err := OpenJournal(records)
	if err != nil {
		t.Fatal(err)
	}
	l, retained := delivery.OpenLedger(records, discardLog)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	b := newBench(t, j, delivery.Options{Persister: l})
	prepare(b.Group)
	b.mustApply(t, files)
	resumeLedger(b.Group, b.Deliverer, retained)
	wg.Go(func() { _ = l.Run(ctx, b.ledgerState) })
	b.setDeliver(func(_ context.Context, ns []action.Notification) error { return checkPersisted(d, ns) })
	return &instance{b, d, l, sync.OnceFunc(func() { b.stop(); cancel(); wg.Wait() })}
}

// checkPersisted panics unless the incidents of the notifications are on the disk.
func checkPersisted(d *testkit.MemDisk, ns []action.Notification) error {
	records, err := state.OpenJournal(d.Killed(), "/state", slices.Concat(JournalKinds(), delivery.LedgerKinds()), state.Mark{})
	if err != nil {
		panic(err)
	}
	_, k := delivery.OpenLedger(records, discardLog)
	for _, n := range ns {
		if n.Event != action.Init && !slices.ContainsFunc(k.Pending, func(b delivery.Pending) bool {
			return slices.ContainsFunc(b.Notifications, func(p action.Notification) bool { return p.Incident == n.Incident })
		}) {
			panic(fmt.Sprintf("%s of %s is sent before it is persisted", n.Event, n.Monitor))
		}
	}
	return nil
}
