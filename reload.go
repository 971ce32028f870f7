package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/guard"
)

const (
	// reloadQuiet is how long the directory must be quiet before it is read
	// again: editors and deployments write a file in several steps.
	reloadQuiet = 500 * time.Millisecond
	// reloadLatest bounds the wait for quiet.
	reloadLatest = 5 * time.Second
	// lookAgain is how often the lookout makes sure that it watches the directory
	// that is there.
	lookAgain = 2 * time.Second
	// secretsAgain is how often the files of secrets are looked at, which may lie
	// anywhere.
	secretsAgain = 10 * time.Second
)

// fileState tells whether the files were right when they were read last. The
// zero value is well.
type fileState struct {
	mu     sync.Mutex
	since  time.Time // guarded by mu; of the last change between right and wrong
	reason string    // guarded by mu; what is wrong, empty if all is right
}

// note takes what was found wrong, sorted.
func (f *fileState) note(problems []*document.Problem) {
	errs, first := 0, ""
	for _, p := range problems {
		if p.Warning {
			continue
		}
		if errs++; errs == 1 {
			first = p.Error()
		}
	}
	reason := ""
	if errs > 0 {
		reason = count(errs, "problem") + " in the files of monitors, which the log lists; the first: " + first
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if (reason == "") != (f.reason == "") {
		f.since = time.Now()
	}
	f.reason = reason
}

// state tells how the files are, and since when; since start if nothing ever
// changed.
func (f *fileState) state(start time.Time) guard.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := guard.State{OK: f.reason == "", Since: f.since, Reason: f.reason}
	if s.Since.IsZero() {
		s.Since = start
	}
	return s
}

// watch reads the directory again on SIGHUP and when it or a file of secrets has
// changed, until ctx ends.
func (m *monitors) watch(ctx context.Context) error {
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	secrets := time.NewTicker(secretsAgain)
	defer secrets.Stop()
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	defer quiet.Stop()
	var since time.Time // of the first change that was not read yet
	changed := func() {
		now := time.Now()
		if since.IsZero() {
			since = now
		}
		if now.Sub(since) < reloadLatest {
			quiet.Reset(reloadQuiet)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.hangup:
			m.lookout.look()
			m.load()
			m.reloadTokens()
		case e := <-m.lookout.events:
			if concerns(e.Name) {
				changed()
			}
		case err := <-m.lookout.errors:
			m.log.Warn("changes of the directory of monitors may have been missed", "dir", m.dir, "err", err)
			changed()
		case <-again.C:
			if m.lookout.look() {
				changed()
			}
		case <-secrets.C:
			if m.group.SecretsChanged() {
				changed()
			}
		case <-quiet.C:
			since = time.Time{}
			m.load()
		}
	}
}

// concerns tells whether a change of the file may change what is read: it is one
// of monitors, or the link that Kubernetes switches to replace all files at once.
func concerns(file string) bool {
	name := filepath.Base(file)
	return strings.HasSuffix(name, ".toml") || name == "..data"
}

// lookout watches a directory, also when it comes later, goes, or is replaced by
// another of its name. It is not for several goroutines.
type lookout struct {
	dir string
	log *slog.Logger
	// watcher is nil, and the channels with it, where the system has no room for
	// another one.
	watcher *fsnotify.Watcher
	events  chan fsnotify.Event
	errors  chan error
	seen    os.FileInfo // of the directory that is watched; nil if none is
	failing bool        // was said already
}

func newLookout(dir string, log *slog.Logger) *lookout {
	l := &lookout{dir: dir, log: log}
	var err error
	if l.watcher, err = fsnotify.NewWatcher(); err != nil {
		l.tell(err)
		return l
	}
	l.events, l.errors = l.watcher.Events, l.watcher.Errors
	l.look()
	return l
}

// look watches the directory that is there now, and tells whether it is another
// one than before.
func (l *lookout) look() bool {
	if l.watcher == nil {
		return false
	}
	info, err := os.Stat(l.dir)
	if err == nil && l.seen != nil && os.SameFile(info, l.seen) {
		return false
	}
	gone := l.seen != nil
	if gone {
		_ = l.watcher.Remove(l.dir) // it has ended by itself if the directory was removed
		l.seen = nil
	}
	if err != nil {
		return gone
	}
	if err := l.watcher.Add(l.dir); err != nil {
		l.tell(err)
		return gone
	}
	l.seen, l.failing = info, false
	return true
}

// tell says once that changes are not seen.
func (l *lookout) tell(err error) {
	if !l.failing {
		l.log.Warn("changes of the directory of monitors are not seen; SIGHUP reads it again", "dir", l.dir, "err", err)
	}
	l.failing = true
}

func (l *lookout) close() {
	if l.watcher != nil {
		_ = l.watcher.Close()
	}
}
