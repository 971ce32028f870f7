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
	LedgerPatience = time.Second
	// ledgerRetry is how long after a write that failed, or took too long, the
	// next one begins.
	ledgerRetry = 2 * time.Second
	// ledgerPause is the least time between two writes, and ledgerShare how many
	// times as long as making the content took a pause is, up to
	// ledgerLongest: when thousands of notices wait, making it again and again
	// takes a fifth of a core.
	ledgerPause   = 20 * time.Millisecond
	ledgerShare   = 4
	ledgerLongest = 300 * time.Millisecond
	// ledgerQuiet is the least time between two lines of the log that tell of
	// trouble.
	ledgerQuiet = 30 * time.Second
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

	mu      sync.Mutex // guards all that follows
	written uint64     // changes up to this one are on disk
	health  LedgerState
	ended   bool
	turn    chan struct{} // closed when one of the above changes, and made anew
	logged  time.Time
}

// LedgerState is how a Ledger does.
type LedgerState struct {
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
func OpenLedger(dir string, log *slog.Logger) (*Ledger, Kept) {
	return OpenLedgerOn(state.OSDisk{}, dir, log)
}

// OpenLedgerOn is OpenLedger on another file system than that of the operating
// system.
func OpenLedgerOn(d state.Disk, dir string, log *slog.Logger) (*Ledger, Kept) {
	l := &Ledger{
		path: filepath.Join(dir, ledgerName), disk: d, log: log,
		wake: make(chan struct{}, 1), turn: make(chan struct{}),
		health: LedgerState{OK: true, Since: time.Now()},
	}
	if err := d.Remove(l.path + ".new"); err != nil { // of a write that was cut short
		log.Warn("tidying up the state directory", "err", err)
	}
	text, err := d.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, Kept{}
	}
	if err != nil {
		log.Error("what the last run kept cannot be read: open incidents begin anew, and what was not told is lost",
			"err", errors.Join(err, d.Rename(l.path, l.path+".corrupt-1")))
		return l, Kept{}
	}
	kept, err := decodeKept(text)
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
	patience := time.NewTimer(LedgerPatience)
	defer patience.Stop()
	for {
		l.mu.Lock()
		done, turn := l.written >= change || !l.health.OK || l.ended, l.turn
		l.mu.Unlock()
		if done {
			return
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return
		case <-patience.C:
			l.trouble(fmt.Sprintf("writing %q takes longer than %v", l.path, LedgerPatience))
			return
		}
	}
}

// State returns how the Ledger does.
func (l *Ledger) State() LedgerState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.health
}

// Run writes what snapshot returns whenever it changed, until ctx ends, and then
// once more. Its error is that of the last write.
func (l *Ledger) Run(ctx context.Context, snapshot func() Kept) error {
	defer l.end()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		// Not before the pause is over; then at the next change, or if the last
		// write was none.
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		if l.State().OK {
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
func (l *Ledger) write(snapshot func() Kept) (time.Duration, error) {
	change := l.changes.Load()
	began := time.Now()
	text, err := encodeKept(snapshot())
	took := time.Since(began)
	if err == nil {
		err = state.Replace(l.disk, l.path, text)
	}
	if err != nil {
		err = fmt.Errorf("keeping what is owed: %w", err)
		l.trouble(err.Error())
		return ledgerRetry, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written = change
	l.turnLocked()
	if time.Since(began) > LedgerPatience {
		return ledgerRetry, nil // whoever waited has told of it
	}
	if !l.health.OK {
		l.log.Info("what is owed is written down again", "failing_for", time.Since(l.health.Since).Round(time.Second))
		l.health = LedgerState{OK: true, Since: time.Now()}
	}
	return min(max(ledgerPause, ledgerShare*took), ledgerLongest), nil
}

// trouble notes that writing fails, and lets go whoever waits for it.
func (l *Ledger) trouble(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.health.OK {
		l.health.OK, l.health.Since = false, now
	}
	l.health.Reason = reason
	l.turnLocked()
	if l.logged.IsZero() || now.Sub(l.logged) >= ledgerQuiet {
		l.logged = now
		l.log.Error("what is owed is not written down: after a sudden end it may be told twice or not at all", "err", reason)
	}
}

func (l *Ledger) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.turnLocked()
}

// turnLocked wakes whoever waits. l.mu is held.
func (l *Ledger) turnLocked() {
	close(l.turn)
	l.turn = make(chan struct{})
}
