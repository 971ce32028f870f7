package service

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/client"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/connlimit"
	"github.com/microhq/monitor-srv/discovery"
	"github.com/microhq/monitor-srv/handler"
	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/ingest"
	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/web"
	"github.com/microhq/monitor-srv/web/metrics"
)

// An Instance is one monitoring service, wired.
type Instance struct {
	node, version string
	log           *slog.Logger

	network  *network
	store    *store.Store
	events   *ingest.Events
	monitors *monitors
	reporter *health.Reporter
	web      *web.Server
}

// New makes an instance of a configuration and listens on its HTTP address. It
// contacts neither the registry nor the broker. level is that of log. If ctx ends, New
// fails with its error.
func New(ctx context.Context, cfg Config, log *slog.Logger, level *slog.LevelVar) (_ *Instance, err error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Server.ID == "" {
		cfg.Server.ID = uuid.NewString()
	}
	cfg.Policy.Hosts = append([]string{cfg.Server.Address, cfg.Server.Advertise}, cfg.HTTP.Hosts...)
	started := time.Now()
	i := &Instance{node: cfg.Server.node(), version: cfg.Server.Version, log: log}
	if i.network, err = newNetwork(cfg, log); err != nil {
		return nil, err
	}
	i.store = store.New(store.Config{
		MaxEntries: cfg.MaxEntries, Retention: cfg.Retention,
		Own: i.node, OwnService: cfg.Server.Name, OwnVersion: cfg.Server.Version, Inventory: cfg.StateDir != "",
	})
	i.events = ingest.NewEvents(ingest.Config{Store: i.store, Own: i.node, Log: log, DrainTimeout: queueTimeout})
	if i.monitors, err = newMonitors(ctx, monitorsOf(cfg, i.network, i.store, log)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			i.monitors.close()
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	changes := access.NewLog(log)
	i.reporter = newReporter(i.network, i.events, log)
	err = i.network.answer(handler.NewMonitor(handler.Config{
		Store: i.store, Instance: i.node, Log: log,
		Group: i.monitors.group, Policy: cfg.Policy, Changes: changes, Level: level,
	}), i.reporter)
	if err != nil {
		return nil, err
	}
	components := append(i.network.components(), queueComponent(i.events, started), storeComponent(i.store, started))
	ports := []port{
		{"RPC", i.network.transport.Connections},
		{"HTTP", func() connlimit.State { return i.web.Connections() }},
		{"broker", i.network.broker.Connections},
	}
	components = append(components, connectionsComponent(ports...))
	components = append(components, i.monitors.components()...)
	if err := i.reporter.Add(checksOf(cfg.Server.Name, components)...); err != nil {
		return nil, err
	}
	scrape, err := i.newMetrics(components, ports, log)
	if err != nil {
		return nil, err
	}
	i.web, err = web.Listen(ctx, web.Config{
		Address: cfg.HTTP.Address, Hosts: cfg.HTTP.Hosts, Log: log,
		Group: i.monitors.group, Store: i.store, Receivers: i.monitors.deliverer.Status, Policy: cfg.Policy, Changes: changes, Level: level, Program: i.version,
		Metrics: scrape, Probe: metrics.NewProbeHandler(i.monitors.group, log),
		Report: func() web.Report {
			return web.Report{Instance: i.node, Version: i.version, Started: started, Components: listComponents(components)}
		},
	})
	if err != nil {
		return nil, unusable(HTTPAddress, "address", err)
	}
	return i, nil
}

// monitorsOf returns the configuration of the monitors: they probe through the
// instance's client and store, and publish through its broker.
func monitorsOf(cfg Config, n *network, s *store.Store, log *slog.Logger) monitorsConfig {
	local := discovery.NewLocal(s)
	return monitorsConfig{
		configDir: cfg.ConfigDir, stateDir: cfg.StateDir, policy: cfg.Policy,
		sources: probe.Env{
			Caller: discovery.NewCaller(n.registry, n.client), Events: local, Stats: local, AllowTargets: cfg.AllowTargets,
		},
		publish:  n.publish,
		recorder: recorderOf(cfg, s),
		version:  cfg.Server.Version,
		log:      log,
	}
}

// Run serves until ctx ends or something fails, then stops in order: stop probing,
// deliver notifications, leave the registry and finish the calls in flight, stop
// receiving events, store those received.
func (i *Instance) Run(ctx context.Context) error {
	defer i.monitors.close()
	failed := make(chan error, 1)
	start := func(name string, run func(context.Context) error) *actor {
		return startActor(ctx, name, run, failed)
	}
	a := actors{
		web:      start("HTTP", i.web.Run),
		registry: start("registry", i.network.registry.Run),
		broker:   start("broker", i.network.broker.Run),
		store:    start("store", i.store.Run),
		known:    start("registered nodes", discovery.NewRegistered(i.network.registry, i.store).Run),
		events:   start("events", i.events.Run),
	}
	err := i.events.Subscribe(i.network.broker) // before Serving is closed, see awaitBus
	a.server = start("RPC", i.network.runServer)
	a.guardian = start("guardian", i.monitors.guardian.Run)
	a.state = start("state", i.monitors.runState)
	a.deliverer = start("actions", i.monitors.deliverer.Run)
	a.group = start("monitors", i.monitors.group.Run)
	a.files = start("files", i.monitors.files.run)
	a.reporter = start("reporter", func(ctx context.Context) error { return runReporter(ctx, i.reporter, i.network) })
	i.log.Info("serving", "node", i.node, "version", i.version, "http", i.web.Addr())

	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	}
	i.log.Info("stopping")
	return errors.Join(err, i.stop(a))
}

// Serving is closed once the RPC server answers.
func (i *Instance) Serving() <-chan struct{} { return i.network.serving }

// AwaitBus waits, for a few seconds at most, until what the instance publishes reaches
// its own subscriptions.
func (i *Instance) AwaitBus(ctx context.Context) { i.network.awaitBus(ctx) }

// RegistryReason says why the registry does not answer or this instance is not
// registered; it is empty if all is well.
func (i *Instance) RegistryReason() string { return i.network.registry.State().Reason }

// RPCAddress returns where the RPC server answers, or "" before it does.
func (i *Instance) RPCAddress() string { return i.network.rpcAddress() }

// HTTPAddress returns where the HTTP door answers.
func (i *Instance) HTTPAddress() string { return i.web.Addr() }

// Client returns the client through which the instance calls and publishes. It works
// while the instance runs.
func (i *Instance) Client() client.Client { return i.network.client }

// Store returns what the instance knows.
func (i *Instance) Store() *store.Store { return i.store }
