package monitor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/internal/testkit"
)

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
	j, err := openJournalOn(d, "/state")
	if err != nil {
		t.Fatal(err)
	}
	l, retained := delivery.OpenLedgerOn(d, "/state", discardLog)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	b := newBench(t, j, delivery.Options{Persister: l})
	b.mustApply(t, files)
	resumeLedger(b.Group, b.Deliverer, retained)
	wg.Go(func() { _ = l.Run(ctx, b.ledgerState) })
	b.setDeliver(func(_ context.Context, ns []action.Notification) error { return checkPersisted(d, ns) })
	return &instance{b, d, l, sync.OnceFunc(func() { b.stop(); cancel(); wg.Wait() })}
}

// checkPersisted panics unless the incidents of the notifications are on the disk.
func checkPersisted(d *testkit.MemDisk, ns []action.Notification) error {
	_, k := delivery.OpenLedgerOn(d.Killed(), "/state", discardLog)
	for _, n := range ns {
		if n.Event != action.Init && !slices.ContainsFunc(k.Pending, func(b delivery.Pending) bool {
			return slices.ContainsFunc(b.Notifications, func(p action.Notification) bool { return p.Incident == n.Incident })
		}) {
			panic(fmt.Sprintf("%s of %s is sent before it is persisted", n.Event, n.Monitor))
		}
	}
	return nil
}
