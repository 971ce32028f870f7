package service

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/state"
	"github.com/microhq/monitor-srv/store"
)

// stateDir is the state directory: the journal of registered monitors, and the ledger
// of open failures and pending notifications. Its zero value stores nothing.
type stateDir struct {
	dir     *state.Dir     // nil: none
	records *state.Journal // nil: none
	// snapshot holds what need not be on the disk before it is told to anybody.
	snapshot *state.Snapshot  // nil: none
	sections []state.Section  // of the snapshot
	store    *store.Store     // whose inventory is in the journal
	journal  *monitor.Journal // nil: none
	ledger   *delivery.Ledger // nil: none
	// restored is what the last run left in the ledger.
	restored delivery.Snapshot
	opened   time.Time
}

// openState opens and locks a state directory, which it creates if it is not there.
// path may be empty.
func openState(path string, log *slog.Logger) (stateDir, error) {
	if path == "" {
		return stateDir{}, nil
	}
	dir, err := state.OpenDir(path, log)
	if err != nil {
		return stateDir{}, unusable(StateDir, "directory", err)
	}
	snapshot := state.OpenSnapshot(state.SnapshotConfig{Disk: dir, Dir: path, Log: log})
	records, err := state.OpenJournal(dir, path, journalKinds(), snapshot.Mark())
	if records == nil {
		return stateDir{}, unusable(StateDir, "directory", errors.Join(err, dir.Close()))
	}
	journal, journalErr := monitor.OpenJournal(records)
	if errors.As(err, new(*state.NewerError)) {
		err = nil // both rooms say so
	}
	for _, err := range []error{err, journalErr} { // damaged, newer, or not to be written for the moment
		if err != nil {
			log.Error(err.Error())
		}
	}
	s := stateDir{dir: dir, records: records, snapshot: snapshot, journal: journal, opened: time.Now()}
	s.ledger, s.restored = delivery.OpenLedger(records, log)
	return s, nil
}

// journalKinds are the kinds of records of the journal, each of the room that encodes
// them.
func journalKinds() []state.Kind {
	node := state.Kind{Name: nodeKind, Version: store.SnapshotVersion, UntilSnapshot: true}
	return slices.Concat(monitor.JournalKinds(), delivery.LedgerKinds(), []state.Kind{node})
}

// nodeKind is a new or ended node of the inventory, which the next snapshot holds.
const nodeKind = "node"

// sectionsOf are the parts of the snapshot, each of the room that encodes it.
func sectionsOf(s *store.Store, g *monitor.Group) []state.Section {
	return []state.Section{
		storeSection(s),
		{Kind: "monitor", Version: monitor.SnapshotVersion, Write: g.WriteSnapshot, Read: g.ReadSnapshot},
	}
}

// restore passes what the last run left in the snapshot to the sections, of which new
// snapshots are made from now on. It returns how long this instance was down.
func (s *stateDir) restore(sections []state.Section) time.Duration {
	if s.snapshot == nil {
		return 0
	}
	s.sections = sections
	return s.snapshot.Load(sections).Down
}

// run writes down what pending returns whenever it changes, and watches the directory,
// until ctx ends.
func (s stateDir) run(ctx context.Context, pending func() delivery.Snapshot) error {
	if s.ledger == nil {
		<-ctx.Done()
		return nil
	}
	var others sync.WaitGroup
	others.Go(func() { _ = s.dir.Run(ctx) })
	others.Go(func() { _ = s.records.Run(ctx) })
	others.Go(func() { _ = s.snapshot.Run(ctx, s.records, s.sections) })
	if s.store != nil {
		others.Go(func() { s.keepInventory(ctx) })
	}
	defer others.Wait()
	return s.ledger.Run(ctx, pending)
}

func (s stateDir) components() []component {
	if s.ledger == nil {
		return nil
	}
	return []component{{
		name: "state", description: "registrations and pending notifications are written to disk",
		look: s.condition,
	}}
}

func (s stateDir) condition() condition {
	if h := s.dir.Health(); !h.OK {
		return condition(h)
	}
	if err := s.journal.Refused(); err != nil {
		return condition{Since: s.opened, Reason: err.Error()}
	}
	for _, h := range []state.Health{s.records.Health(), s.ledger.Health(), s.snapshot.Health()} {
		if !h.OK {
			return condition(h)
		}
	}
	return condition(s.ledger.Health())
}

func (s stateDir) close() {
	if s.dir != nil {
		_ = s.records.Close()
		_ = s.dir.Close()
	}
}
