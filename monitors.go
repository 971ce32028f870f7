package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
)

const (
	// reloadQuiet is how long the directory must be quiet before it is read
	// again: editors and deployments write a file in several steps.
	reloadQuiet = 500 * time.Millisecond
	// deliverTimeout bounds the last attempts to tell something at a stop.
	deliverTimeout = 2 * time.Second
)

// monitors are the parts that run what files and registrations define.
type monitors struct {
	dir       string
	log       *slog.Logger
	group     *monitor.Group
	deliverer *action.Deliverer
	tokens    *access.Tokens
}

// newMonitors makes the parts. They probe through the instance's own client and
// store, and publish through its broker.
func newMonitors(i *instance) (*monitors, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	var journal *monitor.Journal
	if i.cfg.stateDir != "" {
		journal, err = monitor.OpenJournal(i.cfg.stateDir)
		var damaged *monitor.DamagedError
		switch {
		case errors.As(err, &damaged):
			i.log.Error(err.Error())
		case err != nil:
			return nil, err
		}
	}
	m := &monitors{
		dir: i.cfg.configDir, log: i.log, tokens: i.cfg.policy.Tokens,
		deliverer: action.NewDeliverer(action.Options{Log: i.log, Stop: deliverTimeout}),
	}
	version := i.cfg.server.version
	m.group = monitor.NewGroup(monitor.Config{
		Probes: probe.Builtin(),
		ProbeEnv: probe.Env{
			Caller: caller{i}, Events: eventSource{i.store}, Stats: statsSource{i.store},
			AllowTargets: i.cfg.allowTargets, Log: i.log,
		},
		Actions: action.Builtin(),
		ActionEnv: action.Env{
			Host: host, Version: version, Log: i.log,
			Publish: func(_ context.Context, topic string, header map[string]string, body []byte) error {
				return i.broker.Publish(topic, &broker.Message{Header: header, Body: body})
			},
		},
		Deliverer: m.deliverer,
		Recorder:  recorder{i},
		Journal:   journal,
		Host:      host,
		Version:   version,
		Log:       i.log,
	})
	m.load()
	for _, err := range m.group.Restore(i.mayRestore) {
		i.log.Error("a registered monitor is not restored", "err", err)
	}
	return m, nil
}

// load reads the directory and brings the group to it.
func (m *monitors) load() {
	if _, err := os.Stat(m.dir); errors.Is(err, os.ErrNotExist) {
		m.log.Info("no directory of monitors", "dir", m.dir)
		return
	}
	set, problems := monitor.Load(m.dir)
	problems = append(problems, m.group.Apply(set, problems)...)
	for _, p := range problems {
		if p.Warning {
			m.log.Warn(p.Error())
		} else {
			m.log.Error(p.Error())
		}
	}
	m.log.Info("monitors are loaded", "dir", m.dir, "monitors", len(m.group.List(monitor.Filter{})), "problems", len(problems))
}

// watch reads the directory again on SIGHUP and when it changed, until ctx ends.
func (m *monitors) watch(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	w, err := fsnotify.NewWatcher()
	if err == nil {
		defer w.Close()
		err = w.Add(m.dir)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.log.Warn("changes of the directory of monitors are not seen; SIGHUP reads it again", "dir", m.dir, "err", err)
	}
	var events chan fsnotify.Event
	if w != nil {
		events = w.Events
	}
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			m.load()
			m.reloadTokens()
		case e := <-events:
			if strings.HasSuffix(filepath.Base(e.Name), ".toml") {
				quiet.Reset(reloadQuiet)
			}
		case <-quiet.C:
			m.load()
		}
	}
}

// reloadTokens reads the token file again, if there is one.
func (m *monitors) reloadTokens() {
	if m.tokens == nil {
		return
	}
	if err := m.tokens.Reload(); err != nil {
		m.log.Error("the tokens stay as they are", "err", err)
	}
}

// mayRestore refuses what was registered when more was allowed than now.
func (i *instance) mayRestore(d *monitor.Definition) error {
	role := access.Operator
	if d.Trusted {
		role = access.Admin
	}
	return i.cfg.policy.Permit(role, d.Wish())
}
