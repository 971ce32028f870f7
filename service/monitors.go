package service

import (
	"context"
	"log/slog"
	"time"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/command"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/service/receivers"
)

// monitors runs the monitors of files and registrations.
type monitors struct {
	group     *monitor.Group
	deliverer *delivery.Deliverer
	guardian  *command.Guardian // of the commands of probes and actions
	state     stateDir
	files     *files
	started   time.Time
}

// monitorsConfig is the configuration of monitors.
type monitorsConfig struct {
	configDir, stateDir string
	policy              access.Policy
	sources             probe.Env // its Log and Guardian are set here
	publish             publishFunc
	recorder            recorder
	version             string
	log                 *slog.Logger
}

// newMonitors loads everything and runs nothing. If ctx ends meanwhile, the monitors
// are incomplete. The caller closes it.
func newMonitors(ctx context.Context, cfg monitorsConfig) (*monitors, error) {
	state, err := openState(cfg.stateDir, cfg.log)
	if err != nil {
		return nil, err
	}
	state.store = cfg.recorder.store
	m := &monitors{started: time.Now(), state: state, guardian: command.NewReexecGuardian(cfg.log)}
	cfg.sources.Log, cfg.sources.Guardian = cfg.log, m.guardian
	m.group, m.deliverer = newGroup(groupConfig{
		sources: cfg.sources, publish: cfg.publish, recorder: cfg.recorder,
		state: state, version: cfg.version, log: cfg.log,
	})
	// Monitors continue from the snapshot when they are added, and the store believes the
	// nodes that they name before it judges them.
	down := m.state.restore(sectionsOf(m.state.store, m.group))
	m.group.Restarted(down)
	m.files = newFiles(ctx, cfg.configDir, m.group, cfg.policy.Tokens, cfg.log)
	restore(m.group, m.deliverer, state, cfg.policy, cfg.log)
	resumeStore(m.state, down, cfg.log)
	forgetEnded(cfg.recorder, m.group)
	return m, nil
}

// runState stores what must survive a restart.
func (m *monitors) runState(ctx context.Context) error {
	return m.state.run(ctx, func() delivery.Snapshot { return receivers.Snapshot(m.group, m.deliverer) })
}

func (m *monitors) components() []component {
	all := append(m.files.components(), m.state.components()...)
	return append(all, receiversComponent(m.deliverer.Status, m.started))
}

func (m *monitors) close() {
	m.files.close()
	m.state.close()
}
