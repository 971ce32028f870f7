package service

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/state"
)

// stateDir is the state directory: the journal of registered monitors, and the ledger
// of open failures and pending notifications. Its zero value stores nothing.
type stateDir struct {
	dir     *state.Dir       // nil: none
	journal *monitor.Journal // nil: none
	ledger  *delivery.Ledger // nil: none
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
	journal, err := monitor.OpenJournal(dir, path)
	switch {
	case journal == nil:
		return stateDir{}, unusable(StateDir, "directory", errors.Join(err, dir.Close()))
	case err != nil: // damaged, newer, or not to be written for the moment
		log.Error(err.Error())
	}
	s := stateDir{dir: dir, journal: journal, opened: time.Now()}
	s.ledger, s.restored = delivery.OpenLedger(dir, path, log)
	return s, nil
}

// run writes down what pending returns whenever it changes, and watches the directory,
// until ctx ends.
func (s stateDir) run(ctx context.Context, pending func() delivery.Snapshot) error {
	if s.ledger == nil {
		<-ctx.Done()
		return nil
	}
	var watch sync.WaitGroup
	watch.Go(func() { _ = s.dir.Run(ctx) })
	defer watch.Wait()
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
	return condition(s.ledger.Health())
}

func (s stateDir) close() {
	if s.dir != nil {
		_ = s.dir.Close()
	}
}
