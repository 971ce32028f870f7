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

	"github.com/microhq/monitor-srv/loglimit"
	"github.com/microhq/monitor-srv/state"
)

const (
	ledgerName = "ledger"
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

// A Ledger is the Persister that saves a Snapshot in the state directory for the next
// run. One goroutine writes. All changes made during a write go into the next one, so
// many changes at once cost a few writes. Nobody waits for a disk that fails:
// notifications are sent all the same, and after a sudden end perhaps sent again.
type Ledger struct {
	path string
	disk state.Disk
	log  *slog.Logger
	wake chan struct{} // holds a token if something changed since the last write began
	// refused is why the file is left alone, or nil.
	refused error

	changes atomic.Uint64

	mu       sync.Mutex // guards all following fields
	written  uint64     // number of the last change on disk
	health   state.Health
	stopped  bool
	changed  chan struct{}    // closed and replaced when one of the fields above changes
	failures loglimit.Limiter // of log lines
}

// OpenLedger reads the Snapshot of the previous run from a state directory and
// returns it with the Ledger that replaces it. It never fails: it sets a damaged file
// aside, reads all sound records, and logs what is lost. It leaves the file of a newer
// program alone, and then writes nothing.
func OpenLedger(d state.Disk, dir string, log *slog.Logger) (*Ledger, Snapshot) {
	l := &Ledger{
		path: filepath.Join(dir, ledgerName), disk: d, log: log,
		wake: make(chan struct{}, 1), changed: make(chan struct{}),
		health:   state.Health{OK: true, Since: time.Now()},
		failures: loglimit.Limiter{Every: ledgerLogInterval},
	}
	if err := d.Remove(l.path + ".new"); err != nil { // left by an interrupted write
		log.Warn("removing an incomplete ledger failed", "err", err)
	}
	var snapshot Snapshot
	err := state.Load(d, l.path, func(text []byte) (err error) {
		snapshot, err = decodeSnapshot(text)
		return err
	})
	var damaged *state.DamagedError
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
	case errors.As(err, new(*state.NewerError)):
		l.refused = err
		l.health.OK, l.health.Reason = false, err.Error()
		log.Error("the ledger is not used: open incidents start over, and none is written", "err", err)
	case errors.As(err, &damaged):
		log.Error("the ledger is damaged: lost incidents start over, lost notifications are not sent", "file", l.path, "aside", damaged.Aside, "err", damaged.Err)
	default:
		_, asideErr := state.MoveAside(d, l.path)
		log.Error("cannot read the ledger: open incidents start over and pending notifications are lost", "err", errors.Join(err, asideErr))
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
			l.markFailed(fmt.Sprintf("writing %q took longer than %v", l.path, LedgerTimeout))
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
		err = fmt.Errorf("writing the ledger: %w", err)
		l.markFailed(err.Error())
		return ledgerRetryInterval, err
	}
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
