package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/config"
	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/safefile"
	"github.com/microhq/monitor-srv/text"
)

// files applies the definitions of a directory to a group.
type files struct {
	dir     string
	group   *monitor.Group
	tokens  *access.Tokens // read again on SIGHUP; nil: none
	log     *slog.Logger
	hangup  chan os.Signal
	watcher *config.Watcher
	hadAny  bool // files were read; used by load only, whose calls never overlap

	directory, definitions finding
}

// newFiles reads the directory, unless ctx ends. From then on SIGHUP does not end the
// process, and no change is missed. The caller closes it.
func newFiles(ctx context.Context, dir string, group *monitor.Group, tokens *access.Tokens, log *slog.Logger) *files {
	f := &files{dir: dir, group: group, tokens: tokens, log: log, hangup: make(chan os.Signal, 1)}
	f.directory.since, f.definitions.since = time.Now(), time.Now()
	signal.Notify(f.hangup, syscall.SIGHUP)
	f.watcher = config.NewWatcher(config.WatcherConfig{Dir: dir, Changed: f.load, ChangedElsewhere: f.changedElsewhere, Log: log})
	f.load(ctx)
	return f
}

// changedElsewhere reports whether secrets have changed. A directory that cannot be
// read is tried again.
func (f *files) changedElsewhere(ctx context.Context) bool {
	return f.group.SecretsChanged(ctx) || !f.directory.look().OK
}

func (f *files) close() {
	f.watcher.Close()
	signal.Stop(f.hangup)
}

// run reads the directory again on SIGHUP and when it or a file of secrets has
// changed, until ctx ends.
func (f *files) run(ctx context.Context) error {
	var obeying sync.WaitGroup
	obeying.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-f.hangup:
				f.reloadTokens()
				f.watcher.Reread()
			}
		}
	})
	defer obeying.Wait()
	return f.watcher.Run(ctx)
}

// load reads the directory and applies it to the group. Without its files, the
// monitors that it defined before stay: a volume that is not mounted defines nothing.
func (f *files) load(ctx context.Context) {
	var set monitor.Set
	n, problems, err := config.LoadDir(ctx, &set, f.dir)
	if ctx.Err() != nil {
		return
	}
	f.noteDirectory(n, err)
	if err != nil || n == 0 && f.hadAny {
		logProblems(f.log, f.group.RefreshSecrets())
		return
	}
	f.hadAny = n > 0
	problems = append(problems, f.group.Apply(ctx, set, problems)...)
	if ctx.Err() != nil {
		return
	}
	document.SortProblems(problems)
	f.noteProblems(problems)
	logProblems(f.log, problems)
	f.log.Info("monitors loaded", "dir", f.dir, "monitors", len(f.group.List(monitor.Filter{})), "problems", len(problems))
}

// noteDirectory records and logs whether the directory can be read, which has n files.
// The default one may be absent.
func (f *files) noteDirectory(n int, err error) {
	reason := ""
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.dir == DefaultConfigDir && !f.hadAny:
		f.log.Info("the directory of monitors does not exist; it is read once it does", "dir", f.dir)
	case errors.Is(err, fs.ErrNotExist):
		reason = fmt.Sprintf("the directory of monitors %q does not exist: create it, or correct %v", f.dir, ConfigDir)
	case err != nil:
		reason = fmt.Sprintf("the directory of monitors %q cannot be read: %v", f.dir, safefile.WithoutPath(err))
	case n == 0 && f.hadAny:
		reason = fmt.Sprintf("the directory of monitors %q has no files *.toml any more: put them back, or an empty one if there are to be none", f.dir)
	}
	if reason != "" && f.hadAny {
		reason += "; the monitors stay as they were"
	}
	if f.directory.note(reason) && reason != "" {
		f.log.Error(reason)
	}
}

func logProblems(log *slog.Logger, problems []*document.Problem) {
	for _, p := range problems {
		if p.Warning {
			log.Warn(p.Error())
		} else {
			log.Error(p.Error())
		}
	}
}

// reloadTokens reads the token file again, if there is one.
func (f *files) reloadTokens() {
	if f.tokens == nil {
		return
	}
	if err := f.tokens.Reload(); err != nil {
		f.log.Error("the token file is not reloaded, the tokens stay as they are", "err", err)
	}
}

// noteProblems records problems, sorted.
func (f *files) noteProblems(problems []*document.Problem) {
	wrong, first := 0, ""
	for _, p := range problems {
		if p.Warning {
			continue
		}
		if wrong++; wrong == 1 {
			first = p.Error()
		}
	}
	reason := ""
	if wrong > 0 {
		reason = fmt.Sprintf("%s in the files of monitors, see the log; the first: %s", text.Count(wrong, "problem"), first)
	}
	f.definitions.note(reason)
}

func (f *files) components() []component {
	return []component{
		{name: "files", needed: true, description: "the directory of monitors can be read", look: f.directory.look},
		{name: "monitors", description: "every file of monitors is valid", look: f.definitions.look},
	}
}

// A finding is what was last found out about a component.
type finding struct {
	mu     sync.Mutex
	since  time.Time // guarded by mu; of the last change between right and wrong
	reason string    // guarded by mu; what is wrong, empty if nothing is
}

// note records what is wrong, or "", and reports whether that is new.
func (f *finding) note(reason string) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if (reason == "") != (f.reason == "") {
		f.since = time.Now()
	}
	changed = reason != f.reason
	f.reason = reason
	return changed
}

func (f *finding) look() condition {
	f.mu.Lock()
	defer f.mu.Unlock()
	return condition{OK: f.reason == "", Since: f.since, Reason: f.reason}
}
