package delivery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/microhq/monitor-srv/state"
)

const (
	ledgerName = "ledger"
	// LedgerPatience is how long a notification waits to be written down. A disk that
	// takes longer counts as one that fails.
	LedgerTimeout = time.Second
	// ledgerRetry is how long after a write that failed, or took too long, the
	// next one begins.
	ledgerRetryInterval = 2 * time.Second
	// ledgerPause is the least time between two writes, and ledgerShare how many
	// times as long as making the content took a pause is, up to
	// ledgerLongest: when thousands of notices wait, making it again and again
	// takes a fifth of a core.
	ledgerMinPause    = 20 * time.Millisecond
	ledgerPauseFactor = 4
	ledgerMaxPause    = 300 * time.Millisecond
	// ledgerQuiet is the least time between two lines of the log that tell of
	// trouble.
	ledgerLogInterval = 30 * time.Second
)

// A Ledger keeps a Kept on disk, for the next run: a Keeper. One
// goroutine writes; all that changed while it wrote goes into the next write, so
// that many changes at a time cost no more than a few. Nobody waits for a disk
// that fails: what is owed is told all the same, and after a sudden end perhaps
// twice.
type Ledger struct {
	path string
	disk state.Disk
	log  *slog.Logger
	wake chan struct{} // holds a token if something changed

	changes atomic.Uint64

	mu       sync.Mutex // guards all that follows
	written  uint64     // changes up to this one are on disk
	health   LedgerHealth
	stopped  bool
	changed  chan struct{} // closed when one of the above changes, and made anew
	loggedAt time.Time
}

// LedgerState is how a Ledger does.
type LedgerHealth struct {
	// OK is set while what changes is written down in time.
	OK bool
	// Since is when OK changed last.
	Since time.Time
	// Reason is why not.
	Reason string
}

// OpenLedger reads what the run before has kept in a state directory, and returns
// it with the Ledger that keeps it from now on. It never fails: a file that is
// damaged is set aside and read as far as it is whole, and log says what is lost.
func OpenLedger(dir string, log *slog.Logger) (*Ledger, Snapshot) {
	return OpenLedgerOn(state.OSDisk{}, dir, log)
}

// OpenLedgerOn is OpenLedger on another file system than that of the operating
// system.
func OpenLedgerOn(d state.Disk, dir string, log *slog.Logger) (*Ledger, Snapshot) {
	l := &Ledger{
		path: filepath.Join(dir, ledgerName), disk: d, log: log,
		wake: make(chan struct{}, 1), changed: make(chan struct{}),
		health: LedgerHealth{OK: true, Since: time.Now()},
	}
	if err := d.Remove(l.path + ".new"); err != nil { // of a write that was cut short
		log.Warn("tidying up the state directory", "err", err)
	}
	text, err := d.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, Snapshot{}
	}
	if err != nil {
		log.Error("what the last run kept cannot be read: open incidents begin anew, and what was not told is lost",
			"err", errors.Join(err, d.Rename(l.path, l.path+".corrupt-1")))
		return l, Snapshot{}
	}
	kept, err := decodeSnapshot(text)
	if err != nil {
		aside, failed := state.SetAside(d, l.path, text)
		log.Error("what the last run kept is damaged; what is lost of it begins anew or is not told", "file", l.path, "aside", aside, "err", errors.Join(err, failed))
	}
	return l, kept
}

// Changed implements Keeper.
func (l *Ledger) Changed() uint64 {
	n := l.changes.Add(1)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return n
}

// Await implements Keeper.
func (l *Ledger) Await(ctx context.Context, change uint64) {
	patience := time.NewTimer(LedgerTimeout)
	defer patience.Stop()
	for {
		l.mu.Lock()
		done, turn := l.written >= change || !l.health.OK || l.stopped, l.changed
		l.mu.Unlock()
		if done {
			return
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return
		case <-patience.C:
			l.markFailed(fmt.Sprintf("writing %q takes longer than %v", l.path, LedgerTimeout))
			return
		}
	}
}

// State returns how the Ledger does.
func (l *Ledger) Health() LedgerHealth {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.health
}

// Run writes what snapshot returns whenever it changed, until ctx ends, and then
// once more. Its error is that of the last write.
func (l *Ledger) Run(ctx context.Context, snapshot func() Snapshot) error {
	defer l.stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		// Not before the pause is over; then at the next change, or if the last
		// write was none.
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
		last := ctx.Err() != nil // before: what changes during a write is not in it
		pause, err := l.write(snapshot)
		if last {
			return err
		}
		timer.Reset(pause)
	}
}

// write makes one write and returns how long to wait before the next.
func (l *Ledger) write(snapshot func() Snapshot) (time.Duration, error) {
	change := l.changes.Load()
	began := time.Now()
	text, err := encodeSnapshot(snapshot())
	took := time.Since(began)
	if err == nil {
		err = state.Replace(l.disk, l.path, text)
	}
	if err != nil {
		err = fmt.Errorf("keeping what is owed: %w", err)
		l.markFailed(err.Error())
		return ledgerRetryInterval, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written = change
	l.wakeWaitersLocked()
	if time.Since(began) > LedgerTimeout {
		return ledgerRetryInterval, nil // whoever waited has told of it
	}
	if !l.health.OK {
		l.log.Info("what is owed is written down again", "failing_for", time.Since(l.health.Since).Round(time.Second))
		l.health = LedgerHealth{OK: true, Since: time.Now()}
	}
	return min(max(ledgerMinPause, ledgerPauseFactor*took), ledgerMaxPause), nil
}

// trouble notes that writing fails, and lets go whoever waits for it.
func (l *Ledger) markFailed(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.health.OK {
		l.health.OK, l.health.Since = false, now
	}
	l.health.Reason = reason
	l.wakeWaitersLocked()
	if l.loggedAt.IsZero() || now.Sub(l.loggedAt) >= ledgerLogInterval {
		l.loggedAt = now
		l.log.Error("what is owed is not written down: after a sudden end it may be told twice or not at all", "err", reason)
	}
}

func (l *Ledger) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	l.wakeWaitersLocked()
}

// turnLocked wakes whoever waits. l.mu is held.
func (l *Ledger) wakeWaitersLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}
