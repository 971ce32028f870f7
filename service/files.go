package service

import (
	"context"
	"errors"
	"fmt"
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
)

// files applies the definitions of a directory to a group.
type files struct {
	dir     string
	group   *monitor.Group
	tokens  *access.Tokens // read again on SIGHUP; nil: none
	log     *slog.Logger
	hangup  chan os.Signal
	watcher *config.Watcher

	mu     sync.Mutex
	since  time.Time // guarded by mu; of the last change between right and wrong
	reason string    // guarded by mu; what is wrong, empty if nothing is
}

// newFiles reads the directory. From then on SIGHUP does not end the process, and no
// change is missed. The caller closes it.
func newFiles(dir string, group *monitor.Group, tokens *access.Tokens, log *slog.Logger) *files {
	f := &files{dir: dir, group: group, tokens: tokens, log: log, hangup: make(chan os.Signal, 1), since: time.Now()}
	signal.Notify(f.hangup, syscall.SIGHUP)
	f.watcher = config.NewWatcher(config.WatcherConfig{
		Dir: dir, Changed: f.load, ChangedElsewhere: group.SecretsChanged, Log: log,
	})
	f.load()
	return f
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

// load reads the directory and applies it to the group.
func (f *files) load() {
	if _, err := os.Stat(f.dir); errors.Is(err, os.ErrNotExist) {
		level := slog.LevelWarn
		if f.dir == DefaultConfigDir {
			level = slog.LevelInfo // it is the default
		}
		f.log.Log(context.Background(), level, "the directory of monitors does not exist; it is read once it does", "dir", f.dir)
		logProblems(f.log, f.group.RefreshSecrets())
		return
	}
	var set monitor.Set
	problems := config.Load(&set, nil, f.dir)
	problems = append(problems, f.group.Apply(set, problems)...)
	document.SortProblems(problems)
	f.note(problems)
	logProblems(f.log, problems)
	f.log.Info("monitors loaded", "dir", f.dir, "monitors", len(f.group.List(monitor.Filter{})), "problems", len(problems))
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

// note records problems, sorted, for component.
func (f *files) note(problems []*document.Problem) {
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
		plural := "s"
		if wrong == 1 {
			plural = ""
		}
		reason = fmt.Sprintf("%d problem%s in the files of monitors, see the log; the first: %s", wrong, plural, first)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if (reason == "") != (f.reason == "") {
		f.since = time.Now()
	}
	f.reason = reason
}

func (f *files) component() component {
	return component{
		name: "monitors", description: "every file of monitors is valid",
		look: func() condition {
			f.mu.Lock()
			defer f.mu.Unlock()
			return condition{OK: f.reason == "", Since: f.since, Reason: f.reason}
		},
	}
}
