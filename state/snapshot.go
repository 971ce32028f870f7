package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/microhq/monitor-srv/loglimit"
)

const (
	snapshotHolds = "snapshot"
	endKind       = "end"
	// snapshotInterval is the time from the begin of a snapshot to that of the next. A
	// pause lasts at least snapshotPause times as long as the snapshot took.
	snapshotInterval = 10 * time.Second
	snapshotPause    = 4
	// snapshotRetry is how long the disk of a failed snapshot is left alone: others need
	// the little room that it has.
	snapshotRetry = time.Minute
	// snapshotStop bounds the last snapshot at a stop. Without it the one before counts.
	snapshotStop = 5 * time.Second
	// snapshotLogInterval is the shortest time between two lines of one kind.
	snapshotLogInterval = 10 * time.Minute
)

// A Section is the part of a snapshot that a room writes and reads.
type Section struct {
	// Kind and Version are those of the records that Write adds, as in Record.
	Kind    string
	Version int
	// Write passes its records to add, which copies them. It ends with the error of
	// add, if any.
	Write func(add func(data []byte) error) error
	// Read takes a record that an earlier process has written, of this version or an
	// older one. Data is valid until it returns. An error is logged and stops nothing.
	Read func(version int, data []byte) error
}

// SnapshotConfig is the configuration of a Snapshot.
type SnapshotConfig struct {
	Disk Disk
	Dir  string
	Log  *slog.Logger
	// Now defaults to Now.
	Now func() Moment
}

// A Snapshot is the newest of two files, to which all sections are written again and
// again: what need not be on the disk before it is told to anybody.
type Snapshot struct {
	tracker
	cfg    SnapshotConfig
	files  [2]snapshotFile
	limits loglimit.Limiter
	newer  error // why the files are left alone, or nil
}

// OpenSnapshot checks the snapshots of a state directory and sets those aside that are
// damaged. It never fails, and reads nothing else before Load.
func OpenSnapshot(cfg SnapshotConfig) *Snapshot {
	if cfg.Now == nil {
		cfg.Now = Now
	}
	s := &Snapshot{cfg: cfg, tracker: newTracker(), limits: loglimit.Limiter{Every: snapshotLogInterval}}
	if err := cfg.Disk.Remove(s.temporary()); err != nil {
		cfg.Log.Warn("removing an incomplete snapshot failed", "err", err)
	}
	for i := range s.files {
		s.files[i] = s.check(filepath.Join(cfg.Dir, fmt.Sprint("snapshot-", i+1)))
	}
	return s
}

func (s *Snapshot) temporary() string { return filepath.Join(s.cfg.Dir, "snapshot.new") }

// newest returns the index of the file that counts: the newest one that is whole, or the
// newest one of which something is sound.
func (s *Snapshot) newest() int {
	a, b := &s.files[0], &s.files[1]
	if a.whole != b.whole {
		return btoi(b.whole)
	}
	return btoi(b.generation > a.generation)
}

// Mark returns where the journal was when the snapshot that Load reads was begun.
func (s *Snapshot) Mark() Mark { return s.files[s.newest()].head.Journal }

// Run writes the sections every ten seconds, and once more when ctx ends. It tells the
// journal what it need not retain any more.
func (s *Snapshot) Run(ctx context.Context, j *Journal, sections []Section) error {
	if len(sections) == 0 || s.newer != nil {
		<-ctx.Done()
		return nil
	}
	timer := time.NewTimer(snapshotInterval)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(s.writeAndLog(ctx, j, sections))
			continue
		case <-ctx.Done():
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), snapshotStop)
		defer cancel()
		_ = s.writeAndLog(last, j, sections)
		return nil
	}
}

// writeAndLog writes a snapshot and returns how long to wait before the next.
func (s *Snapshot) writeAndLog(ctx context.Context, j *Journal, sections []Section) time.Duration {
	began := time.Now()
	err := s.Write(ctx, j, sections)
	took := time.Since(began)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return 0 // the last one follows, or there is no time for it
	}
	if wasOK := s.Health().OK; err == nil && !wasOK {
		s.cfg.Log.Info("snapshots are written again")
	}
	s.report(err)
	if err != nil {
		s.limits.Log(s.cfg.Log, slog.LevelError, "writing a snapshot failed: a restart begins with an older one", func() []any {
			return []any{"err", err}
		})
		return snapshotRetry
	}
	return max(snapshotInterval-took, snapshotPause*took)
}
