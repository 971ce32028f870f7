package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/command"
	files "github.com/microhq/monitor-srv/config"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/service/receivers"
)

// deliverTimeout bounds the last attempts to tell something at a stop.
const deliverTimeout = 2 * time.Second

// monitors are the parts that run what files and registrations define.
type monitors struct {
	dir       string
	log       *slog.Logger
	group     *monitor.Group
	deliverer *delivery.Deliverer
	ledger    *delivery.Ledger // nil without a state directory
	tokens    *access.Tokens
	guardian  *command.Guardian
	hangup    chan os.Signal // asks to read everything again
	lookout   *lookout
	files     fileState
	lock      *os.File // on the directory of the journal; nil without one
}

// newMonitors makes the parts. They probe through the instance's own client and
// store, and publish through its broker. close ends what Run does not.
func newMonitors(i *instance) (*monitors, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	journal, lock, err := openJournal(i)
	if err != nil {
		return nil, err
	}
	m := &monitors{
		dir: i.cfg.configDir, log: i.log, tokens: i.cfg.policy.Tokens,
		guardian: newGuardian(i.log),
		hangup:   make(chan os.Signal, 1),
		lock:     lock,
	}
	options := delivery.Options{Log: i.log, Stop: deliverTimeout}
	var kept delivery.Snapshot
	if journal != nil {
		m.ledger, kept = delivery.OpenLedger(i.cfg.stateDir, i.log)
		options.Persister = m.ledger
	}
	m.deliverer = delivery.NewDeliverer(options)
	version := i.cfg.server.version
	m.group = monitor.NewGroup(monitor.Config{
		Probes: probe.Builtin(),
		ProbeEnv: probe.Env{
			Caller: caller{i.registry, i.client}, Events: eventSource{i.store}, Stats: statsSource{i.store},
			AllowTargets: i.cfg.allowTargets, Log: i.log, Guardian: m.guardian,
		},
		Delivery: receivers.New(m.deliverer, action.Builtin(), action.Env{
			Host: host, Version: version, Log: i.log, Guardian: m.guardian,
			Publish: func(_ context.Context, topic string, header map[string]string, body []byte) error {
				return i.broker.Publish(topic, &broker.Message{Header: header, Body: body})
			},
		}),
		Recorder: recorder{i},
		Journal:  journal,
		Log:      i.log,
	})
	// From here on no signal ends the process, and no change is missed.
	signal.Notify(m.hangup, syscall.SIGHUP)
	m.lookout = newLookout(m.dir, m.log)
	m.load()
	for _, err := range m.group.Restore(i.mayRestore) {
		i.log.Error("a registered monitor is not restored", "err", err)
	}
	receivers.Resume(m.group, m.deliverer, kept)
	return m, nil
}

// runLedger keeps what is owed, for the next run.
func (m *monitors) runLedger(ctx context.Context) error {
	if m.ledger == nil {
		<-ctx.Done()
		return nil
	}
	return m.ledger.Run(ctx, func() delivery.Snapshot { return receivers.Snapshot(m.group, m.deliverer) })
}

// openJournal opens the journal of registered monitors and locks its directory:
// two processes would overwrite what the other one keeps. Both are nil without a
// directory for it.
func openJournal(i *instance) (*monitor.Journal, *os.File, error) {
	if i.cfg.stateDir == "" {
		return nil, nil, nil
	}
	lock, err := lockDir(i.cfg.stateDir)
	if err != nil {
		return nil, nil, err
	}
	journal, err := monitor.OpenJournal(i.cfg.stateDir)
	switch {
	case journal == nil:
		_ = lock.Close()
		return nil, nil, err
	case err != nil: // damaged, or not to be written for the moment
		i.log.Error(err.Error())
	}
	return journal, lock, nil
}

// lockDir makes a directory, if it is not there, and locks it until the file is
// closed or the process ends.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the state directory %q: %w", dir, err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("locking the state directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another process uses it")
		}
		return nil, fmt.Errorf("locking the state directory %q: %w", dir, err)
	}
	return f, nil
}

// close ends what newMonitors began.
func (m *monitors) close() {
	m.lookout.close()
	signal.Stop(m.hangup)
	if m.lock != nil {
		_ = m.lock.Close()
	}
}

// load reads the directory and brings the group to it.
func (m *monitors) load() {
	if _, err := os.Stat(m.dir); errors.Is(err, os.ErrNotExist) {
		level := slog.LevelWarn
		if m.dir == defaultConfigDir {
			level = slog.LevelInfo // nobody asked for it
		}
		m.log.Log(context.Background(), level, "no directory of monitors; it is read once it is there", "dir", m.dir)
		m.logProblems(m.group.RefreshSecrets())
		return
	}
	var set monitor.Set
	problems := files.Load(&set, nil, m.dir)
	problems = append(problems, m.group.Apply(set, problems)...)
	document.SortProblems(problems)
	m.files.note(problems)
	m.logProblems(problems)
	m.log.Info("monitors are loaded", "dir", m.dir, "monitors", len(m.group.List(monitor.Filter{})), "problems", len(problems))
}

func (m *monitors) logProblems(problems []*document.Problem) {
	for _, p := range problems {
		if p.Warning {
			m.log.Warn(p.Error())
		} else {
			m.log.Error(p.Error())
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
