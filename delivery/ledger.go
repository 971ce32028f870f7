package delivery

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/microhq/monitor-srv/loglimit"
	"github.com/microhq/monitor-srv/state"
)

const (
	// LedgerTimeout is how long a notification waits to be persisted. A disk that
	// takes longer counts as failed.
	LedgerTimeout = time.Second
	// ledgerRetryInterval is the time between a write that failed, or took too long,
	// and the next one.
	ledgerRetryInterval = 2 * time.Second
	// ledgerMinPause is the shortest pause between two writes. A pause lasts
	// ledgerPauseFactor times as long as encoding the content took, up to
	// ledgerMaxPause: with thousands of pending notifications, encoding then takes at
	// most a fifth of a core.
	ledgerMinPause    = 20 * time.Millisecond
	ledgerPauseFactor = 4
	ledgerMaxPause    = 300 * time.Millisecond
	// ledgerLogInterval is the shortest time between two log lines about failed
	// writes.
	ledgerLogInterval = 30 * time.Second
)

// A Ledger is the Persister that saves a Snapshot for the next run, as records of the
// journal of the state directory. One goroutine writes. All changes made during a write
// go into the next one, so many changes at once cost a few writes. Nobody waits for a
// disk that fails: notifications are sent all the same, and after a sudden end perhaps
// sent again.
type Ledger struct {
	journal *state.Journal
	log     *slog.Logger
	wake    chan struct{} // holds a token if something changed since the last write began
	// records are what the journal holds. Only who writes uses them.
	records ledgerRecords
	// retired is set once no file of an older version is there.
	retired bool
	// refused is why nothing is written, or nil.
	refused error

	changes atomic.Uint64

	mu       sync.Mutex // guards all following fields
	written  uint64     // number of the last change on disk
	health   state.Health
	stopped  bool
	changed  chan struct{}    // closed and replaced when one of the fields above changes
	failures loglimit.Limiter // of log lines
}

// OpenLedger reads the Snapshot of the previous run from a journal and returns it with
// the Ledger that replaces it. It never fails: it reads all records that can be used,
// and logs what is lost. If a newer program has written them, it writes nothing. The
// file of an older version replaces the records.
func OpenLedger(j *state.Journal, log *slog.Logger) (*Ledger, Snapshot) {
	l := &Ledger{
		journal: j, log: log,
		wake: make(chan struct{}, 1), changed: make(chan struct{}),
		health:   state.Health{OK: true, Since: time.Now()},
		failures: loglimit.Limiter{Every: ledgerLogInterval},
	}
	snapshot, err := l.read()
	if err == nil {
		snapshot, err = l.readOld(snapshot)
	}
	if err = cmp.Or(err, j.Refused()); err != nil {
		l.refused = err
		l.health.OK, l.health.Reason = false, err.Error()
		log.Error("the ledger is not used: open incidents start over, and none is written", "err", err)
		return l, Snapshot{}
	}
	if !l.retired {
		_, _ = l.write(func() Snapshot { return snapshot }, true) // the next write tries again
	}
	return l, snapshot
}

// Changed implements Persister.
func (l *Ledger) Changed() uint64 {
	n := l.changes.Add(1)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return n
}

// Await implements Persister.
func (l *Ledger) Await(ctx context.Context, change uint64) {
	timeout := time.NewTimer(LedgerTimeout)
	defer timeout.Stop()
	for {
		l.mu.Lock()
		done, changed := l.written >= change || !l.health.OK || l.stopped, l.changed
		l.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-timeout.C:
			l.markFailed(fmt.Sprintf("writing the ledger took longer than %v", LedgerTimeout))
			return
		}
	}
}

// Health returns whether the Ledger can write.
func (l *Ledger) Health() state.Health {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.health
}

// Run writes what snapshot returns whenever something changed, and once more when ctx
// ends. Its error is that of the last write.
func (l *Ledger) Run(ctx context.Context, snapshot func() Snapshot) error {
	defer l.stop()
	if l.refused != nil {
		<-ctx.Done()
		return nil
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		// Wait for the pause to end, then for a change unless the last write failed.
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		if l.Health().OK {
			select {
			case <-l.wake:
			case <-ctx.Done():
			}
		}
		last := ctx.Err() != nil // read before the write, which lacks what changes meanwhile
		pause, err := l.write(snapshot, last)
		if last {
			return err
		}
		timer.Reset(pause)
	}
}

// write makes one write and returns how long to wait before the next. How many probes
// of an incident have failed is written with the next notification, or if exact is set.
func (l *Ledger) write(snapshot func() Snapshot, exact bool) (time.Duration, error) {
	change := l.changes.Load()
	began := time.Now()
	changes, then, err := l.records.changes(snapshot(), exact)
	took := time.Since(began)
	if err == nil {
		err = l.set(changes)
	}
	if err == nil && !l.retired {
		err = l.journal.RetireOld(oldLedgerName)
	}
	if err != nil {
		err = fmt.Errorf("writing the ledger: %w", err)
		l.markFailed(err.Error())
		return ledgerRetryInterval, err
	}
	l.records, l.retired = then, true
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written = change
	l.wakeWaitersLocked()
	if time.Since(began) > LedgerTimeout {
		return ledgerRetryInterval, nil // the timeout of Await has reported it
	}
	if !l.health.OK {
		l.log.Info("the ledger is written again", "failing_for", time.Since(l.health.Since).Round(time.Second))
		l.health = state.Health{OK: true, Since: time.Now()}
	}
	return min(max(ledgerMinPause, ledgerPauseFactor*took), ledgerMaxPause), nil
}

// set writes changes. A disk that has failed must take a write before it counts as good.
func (l *Ledger) set(changes []state.Entry) error {
	if len(changes) == 0 && !l.Health().OK {
		return l.journal.Sync()
	}
	return l.journal.Set(changes...)
}

// markFailed records that writing fails and releases those who wait.
func (l *Ledger) markFailed(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.health.OK {
		l.health.OK, l.health.Since = false, now
	}
	l.health.Reason = reason
	l.wakeWaitersLocked()
	l.failures.Log(l.log, slog.LevelError, "writing the ledger failed: after a crash notifications may be sent twice or not at all", func() []any {
		return []any{"err", reason}
	})
}

func (l *Ledger) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	l.wakeWaitersLocked()
}

// wakeWaitersLocked wakes those who wait in Await. l.mu is held.
func (l *Ledger) wakeWaitersLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}
