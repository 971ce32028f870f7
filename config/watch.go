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

// PollInterval is the interval of ChangedElsewhere.
const PollInterval = 10 * time.Second

const (
	// debounceDelay is the time without changes after which the files are read again.
	// Editors and deployments write a file in several steps.
	debounceDelay = 500 * time.Millisecond
	// maxDebounce bounds the delay under constant changes.
	maxDebounce = 5 * time.Second
	// recheckInterval is how often the watcher checks whether the directory was created
	// or replaced.
	recheckInterval = 2 * time.Second
)

// WatcherConfig configures a Watcher.
type WatcherConfig struct {
	// Dir is the directory of files. It may be created, removed and replaced at any
	// time. Required.
	Dir string
	// Changed is called after changes of the files of Dir, after Reread, and after
	// ChangedElsewhere has returned true. Calls never overlap. Required.
	// Its context is that of Run.
	Changed func(ctx context.Context)
	// ChangedElsewhere reports whether files outside of Dir have changed, such as the
	// secrets that its files name. It is called every PollInterval, unless it is nil.
	ChangedElsewhere func(ctx context.Context) bool
	// Log reports changes that may be missed. Required.
	Log *slog.Logger
}

// A Watcher reports changes of the files of a directory.
type Watcher struct {
	cfg    WatcherConfig
	reread chan struct{}
	dir    *watchedDir
}

// NewWatcher returns a Watcher that records changes from now on and reports them in
// Run. The caller closes it.
func NewWatcher(cfg WatcherConfig) *Watcher {
	return &Watcher{cfg: cfg, reread: make(chan struct{}, 1), dir: newWatchedDir(cfg.Dir, cfg.Log)}
}

// Close releases the resources of the Watcher. It must not be called before Run has
// returned.
func (w *Watcher) Close() { w.dir.close() }

// Reread makes Run call Changed at once, even without a change.
func (w *Watcher) Reread() {
	select {
	case w.reread <- struct{}{}:
	default: // already requested
	}
}

// Run reports changes until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	recheck := time.NewTicker(recheckInterval)
	defer recheck.Stop()
	poll := time.NewTicker(PollInterval)
	defer poll.Stop()
	debounce := newDebounceTimer()
	defer debounce.Stop()
	for {
		select {
		case <-w.reread:
			w.dir.recheck()
			w.cfg.Changed(ctx)
		case e := <-w.dir.events:
			if isRelevant(e.Name) {
				debounce.changed()
			}
		case err := <-w.dir.errors:
			w.cfg.Log.Warn("changes of the directory may have been missed", "dir", w.cfg.Dir, "err", err)
			debounce.changed()
		case <-recheck.C:
			if w.dir.recheck() {
				debounce.changed()
			}
		case <-poll.C:
			if w.cfg.ChangedElsewhere != nil && w.cfg.ChangedElsewhere(ctx) {
				debounce.changed()
			}
		case <-debounce.C:
			debounce.first = time.Time{}
			w.cfg.Changed(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// isRelevant reports whether a file is read, or is the link that Kubernetes switches to
// replace all files at once.
func isRelevant(file string) bool {
	name := filepath.Base(file)
	return strings.HasSuffix(strings.ToLower(name), ".toml") || name == "..data"
}

// debounceTimer fires debounceDelay after the last change, or maxDebounce after the
// first one.
type debounceTimer struct {
	*time.Timer
	first time.Time // change since it fired; zero without one
}

func newDebounceTimer() *debounceTimer {
	t := &debounceTimer{Timer: time.NewTimer(time.Hour)}
	t.Stop()
	return t
}

func (t *debounceTimer) changed() {
	now := time.Now()
	if t.first.IsZero() {
		t.first = now
	}
	if now.Sub(t.first) < maxDebounce {
		t.Reset(debounceDelay)
	}
}

// watchedDir watches a directory that may be created, removed or replaced. It is not
// safe for concurrent use.
type watchedDir struct {
	dir string
	log *slog.Logger
	// watcher and the channels are nil if the system has no resources for a watcher.
	watcher *fsnotify.Watcher
	events  chan fsnotify.Event
	errors  chan error
	seen    os.FileInfo // of the watched directory; nil without one
	failing bool        // a warning was logged
}

func newWatchedDir(dir string, log *slog.Logger) *watchedDir {
	d := &watchedDir{dir: dir, log: log}
	var err error
	if d.watcher, err = fsnotify.NewWatcher(); err != nil {
		d.warn(err)
		return d
	}
	d.events, d.errors = d.watcher.Events, d.watcher.Errors
	d.recheck()
	return d
}

// recheck watches the current directory and reports whether it was replaced.
func (d *watchedDir) recheck() (replaced bool) {
	if d.watcher == nil {
		return false
	}
	info, err := os.Stat(d.dir)
	if err == nil && d.seen != nil && os.SameFile(info, d.seen) {
		return false
	}
	removed := d.seen != nil
	if removed {
		_ = d.watcher.Remove(d.dir) // fails if the directory was removed
		d.seen = nil
	}
	if err != nil {
		return removed
	}
	if err := d.watcher.Add(d.dir); err != nil {
		d.warn(err)
		return removed
	}
	d.seen, d.failing = info, false
	return true
}

// warn logs once that changes are not noticed.
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
