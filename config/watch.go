package config

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quietTime is how long the directory must be quiet before its files are read
	// again: editors and deployments write a file in several steps.
	quietTime = 500 * time.Millisecond
	// longestWait bounds the wait for quiet.
	longestWait = 5 * time.Second
	// lookInterval is how often the watcher makes sure that it watches the directory
	// that is there.
	lookInterval = 2 * time.Second
	// PollInterval is how often a watcher asks for changes outside its directory.
	PollInterval = 10 * time.Second
)

// WatcherConfig says what to watch and whom to call.
type WatcherConfig struct {
	// Dir is the directory of files. It may be created, removed and replaced at any
	// time. Required.
	Dir string
	// Changed is called when files of Dir have changed and it was quiet for a
	// moment, after Reread, and when ChangedElsewhere says so. Calls never overlap.
	// Required.
	Changed func()
	// ChangedElsewhere tells whether files outside Dir have changed, such as
	// secrets that its files name. It is asked every PollInterval; nil: nothing is.
	ChangedElsewhere func() bool
	// Log reports changes that may be missed. Required.
	Log *slog.Logger
}

// A Watcher tells when the files of a directory have changed.
type Watcher struct {
	cfg    WatcherConfig
	reread chan struct{}
	dir    *watchedDir
}

// NewWatcher returns a Watcher that sees changes from now on and reports them once it
// runs. Close it.
func NewWatcher(cfg WatcherConfig) *Watcher {
	return &Watcher{cfg: cfg, reread: make(chan struct{}, 1), dir: newWatchedDir(cfg.Dir, cfg.Log)}
}

// Close ends what NewWatcher began. It must not be called before Run has returned.
func (w *Watcher) Close() { w.dir.close() }

// Reread has Run call Changed at once, whether something has changed or not.
func (w *Watcher) Reread() {
	select {
	case w.reread <- struct{}{}:
	default: // it is asked for already
	}
}

// Run reports changes until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	poll := time.NewTicker(PollInterval)
	defer poll.Stop()
	quiet := newQuietTimer()
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.reread:
			w.dir.look()
			w.cfg.Changed()
		case e := <-w.dir.events:
			if concerns(e.Name) {
				quiet.disturb()
			}
		case err := <-w.dir.errors:
			w.cfg.Log.Warn("changes of the directory may have been missed", "dir", w.cfg.Dir, "err", err)
			quiet.disturb()
		case <-look.C:
			if w.dir.look() {
				quiet.disturb()
			}
		case <-poll.C:
			if w.cfg.ChangedElsewhere != nil && w.cfg.ChangedElsewhere() {
				quiet.disturb()
			}
		case <-quiet.C:
			quiet.first = time.Time{}
			w.cfg.Changed()
		}
	}
}

// concerns tells whether a change of the file may change what is read: it is one that
// is read, or the link that Kubernetes switches to replace all files at once.
func concerns(file string) bool {
	name := filepath.Base(file)
	return strings.HasSuffix(name, ".toml") || name == "..data"
}

// quietTimer fires once nothing was disturbed for quietTime, or longestWait after the
// first disturbance.
type quietTimer struct {
	*time.Timer
	first time.Time // disturbance since it fired; zero if there was none
}

func newQuietTimer() *quietTimer {
	t := &quietTimer{Timer: time.NewTimer(time.Hour)}
	t.Stop()
	return t
}

func (t *quietTimer) disturb() {
	now := time.Now()
	if t.first.IsZero() {
		t.first = now
	}
	if now.Sub(t.first) < longestWait {
		t.Reset(quietTime)
	}
}

// watchedDir watches a directory, also when it is created later, removed, or replaced
// by another of its name. It is not for several goroutines.
type watchedDir struct {
	dir string
	log *slog.Logger
	// watcher is nil, and the channels with it, where the system has no room for
	// another one.
	watcher *fsnotify.Watcher
	events  chan fsnotify.Event
	errors  chan error
	seen    os.FileInfo // of the directory that is watched; nil if none is
	failing bool        // is in the log already
}

func newWatchedDir(dir string, log *slog.Logger) *watchedDir {
	d := &watchedDir{dir: dir, log: log}
	var err error
	if d.watcher, err = fsnotify.NewWatcher(); err != nil {
		d.warn(err)
		return d
	}
	d.events, d.errors = d.watcher.Events, d.watcher.Errors
	d.look()
	return d
}

// look watches the directory that is there now, and tells whether it is another one
// than before.
func (d *watchedDir) look() (replaced bool) {
	if d.watcher == nil {
		return false
	}
	info, err := os.Stat(d.dir)
	if err == nil && d.seen != nil && os.SameFile(info, d.seen) {
		return false
	}
	gone := d.seen != nil
	if gone {
		_ = d.watcher.Remove(d.dir) // it has ended by itself if the directory was removed
		d.seen = nil
	}
	if err != nil {
		return gone
	}
	if err := d.watcher.Add(d.dir); err != nil {
		d.warn(err)
		return gone
	}
	d.seen, d.failing = info, false
	return true
}

// warn logs once that changes are not seen.
func (d *watchedDir) warn(err error) {
	if !d.failing {
		d.log.Warn("the directory cannot be watched for changes; SIGHUP reads it again", "dir", d.dir, "err", err)
	}
	d.failing = true
}

func (d *watchedDir) close() {
	if d.watcher != nil {
		_ = d.watcher.Close()
	}
}
