package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"

	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/safefile"
)

// stateDir is the state directory: the journal of registered monitors, and the ledger
// of open failures and pending notifications. Its zero value stores nothing.
type stateDir struct {
	journal *monitor.Journal // nil: none
	ledger  *delivery.Ledger // nil: none
	// restored is what the last run left in the ledger.
	restored delivery.Snapshot
	lock     *os.File // held on the directory; nil: none
}

// openState opens and locks a state directory, which it creates if it is not there:
// two processes would overwrite each other's files. dir may be empty.
func openState(dir string, log *slog.Logger) (stateDir, error) {
	if dir == "" {
		return stateDir{}, nil
	}
	lock, err := lockDir(dir)
	if err != nil {
		return stateDir{}, unusable(StateDir, "directory", err)
	}
	journal, err := monitor.OpenJournal(dir)
	switch {
	case journal == nil:
		_ = lock.Close()
		return stateDir{}, unusable(StateDir, "directory", err)
	case err != nil: // damaged, or not to be written for the moment
		log.Error(err.Error())
	}
	s := stateDir{journal: journal, lock: lock}
	s.ledger, s.restored = delivery.OpenLedger(dir, log)
	return s, nil
}

// lockDir locks a directory, which it creates if it is not there, until the file is
// closed or the process ends.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the state directory %q: %w", dir, err)
	}
	f, err := safefile.OpenDir(dir)
	if err != nil {
		return nil, fmt.Errorf("locking the state directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another process uses it")
		}
		return nil, fmt.Errorf("locking the state directory %q: %w", dir, err)
	}
	return f, nil
}

// run writes down what pending returns whenever it changes, until ctx ends.
func (s stateDir) run(ctx context.Context, pending func() delivery.Snapshot) error {
	if s.ledger == nil {
		<-ctx.Done()
		return nil
	}
	return s.ledger.Run(ctx, pending)
}

func (s stateDir) components() []component {
	if s.ledger == nil {
		return nil
	}
	return []component{{
		name: "state", description: "pending notifications are written to disk",
		look: func() condition { return condition(s.ledger.Health()) },
	}}
}

func (s stateDir) close() {
	if s.lock != nil {
		_ = s.lock.Close()
	}
}
