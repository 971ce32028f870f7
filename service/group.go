package service

import (
	"context"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/service/receivers"
)

// deliverTimeout bounds the last attempts to notify receivers at a stop.
const deliverTimeout = 2 * time.Second

// publishFunc publishes a message on the broker.
type publishFunc func(ctx context.Context, topic string, header map[string]string, body []byte) error

// groupConfig is the configuration of a group of monitors.
type groupConfig struct {
	sources  probe.Env // what probes may ask, and who guards their commands
	publish  publishFunc
	recorder monitor.Recorder
	state    stateDir
	version  string // of ours, in notifications
	log      *slog.Logger
}

// newGroup returns a group without monitors, and the deliverer of its notifications.
// Both need Run.
func newGroup(cfg groupConfig) (*monitor.Group, *delivery.Deliverer) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	options := delivery.Options{Log: cfg.log, Stop: deliverTimeout}
	if cfg.state.ledger != nil {
		options.Persister = cfg.state.ledger
	}
	deliverer := delivery.NewDeliverer(options)
	return monitor.NewGroup(monitor.Config{
		Probes:   probe.Builtin(),
		ProbeEnv: cfg.sources,
		Delivery: receivers.New(deliverer, action.Builtin(), action.Env{
			Host: host, Resolver: net.DefaultResolver, Version: cfg.version, Log: cfg.log, Guardian: cfg.sources.Guardian, Publish: cfg.publish,
		}),
		Recorder: cfg.recorder,
		Journal:  cfg.state.journal,
		Log:      cfg.log,
	}), deliverer
}

// restore brings back registered monitors and open failures of the run before, once
// the group has the monitors of files.
func restore(group *monitor.Group, deliverer *delivery.Deliverer, state stateDir, policy access.Policy, log *slog.Logger) {
	permitted := func(d *monitor.Definition) error { // more may have been allowed then than now
		role := access.Operator
		if d.Trusted {
			role = access.Admin
		}
		return policy.Permit(role, d.Registration())
	}
	for _, err := range group.Restore(permitted) {
		log.Error("a registered monitor is not restored", "err", err)
	}
	receivers.Resume(group, deliverer, state.restored)
}

// NewIdleGroup returns a group that never runs: it checks definitions and probes once.
func NewIdleGroup(sources probe.Env) *monitor.Group {
	return monitor.NewGroup(monitor.Config{
		Probes:   probe.Builtin(),
		Delivery: receivers.New(delivery.NewDeliverer(delivery.Options{}), action.Builtin(), action.Env{}),
		Recorder: discard{},
		Log:      slog.New(slog.DiscardHandler),
		ProbeEnv: sources,
	})
}

// discard records nothing.
type discard struct{}

// Record implements monitor.Recorder.
func (discard) Record(monitor.Result) {}
