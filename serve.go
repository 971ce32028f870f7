package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/logger"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"

	"github.com/microhq/monitor-srv/guard"
	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/handler"
	"github.com/microhq/monitor-srv/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/web"
)

// helloTimeout bounds the wait for the broker before the first report.
const helloTimeout = 2 * time.Second

// serve runs an instance until ctx ends.
func serve(ctx context.Context, cfg config, stderr io.Writer) error {
	limitMemory(cfg.maxEntries, os.Getenv)
	log, level := newLog(cfg.log, stderr)
	quietFramework(log)
	if strange := strangeVariables(); len(strange) > 0 {
		log.Warn("these variables of the environment mean nothing here", "names", strings.Join(strange, " "))
	}
	i, err := newInstance(ctx, cfg, log, level)
	if err != nil {
		return err
	}
	return i.Run(ctx)
}

// quietFramework sends to log what go-micro's registries and caches can only
// write to its global logger.
func quietFramework(log *slog.Logger) { logger.DefaultLogger = guard.NewLogger(log) }

// instance is one monitoring service with all its parts, wired.
type instance struct {
	cfg     config
	log     *slog.Logger
	level   *slog.LevelVar
	node    string // id of our node in the registry
	started time.Time

	registry  *guardregistry.Registry
	broker    *guardbroker.Broker
	transport *guardtransport.Transport
	client    client.Client
	server    server.Server
	store     *store.Store
	events    *handler.Events
	reporter  *health.Reporter
	web       *web.Server
	monitors  *monitors
	parts     *parts
	sample    *health.Reporter // of a demo only
}

// newInstance makes the parts and takes the HTTP address. It asks neither the
// registry nor the broker for anything.
func newInstance(ctx context.Context, cfg config, log *slog.Logger, level *slog.LevelVar) (_ *instance, err error) {
	if cfg.server.id == "" {
		cfg.server.id = uuid.NewString()
	}
	i := &instance{
		cfg: cfg, log: log, level: level, started: time.Now(),
		node: cfg.server.name + "-" + cfg.server.id,
	}
	if i.registry, err = newRegistry(cfg, log); err != nil {
		return nil, err
	}
	if i.broker, err = newBroker(cfg, i.registry, log); err != nil {
		return nil, err
	}
	i.transport = guardtransport.New(guardtransport.Config{DrainTimeout: drainTimeout, Log: log})
	i.store = store.New(store.Config{MaxEntries: cfg.maxEntries, Retention: cfg.retention, Own: i.node})
	i.events = handler.NewEvents(handler.EventsConfig{Store: i.store, Log: log, DrainTimeout: queueTimeout})
	i.newClient()
	if i.monitors, err = newMonitors(i); err != nil {
		return nil, fmt.Errorf("%w; --%s names another directory", err, flagStateDir)
	}
	defer func() {
		if err != nil {
			i.monitors.close()
		}
	}()
	if err := i.newServer(); err != nil {
		return nil, err
	}
	i.parts = newParts(i)
	if err := i.checkParts(); err != nil {
		return nil, err
	}
	i.web, err = web.Listen(ctx, web.Config{
		Address: cfg.httpAddress, Hosts: cfg.httpHosts, Report: i.report, Log: log,
		Group: i.monitors.group, Policy: cfg.policy, Level: level,
	})
	if err != nil {
		return nil, fmt.Errorf("%w; --%s names another address", err, flagHTTPAddress)
	}
	return i, nil
}

// newRegistry returns the guarded registry that the flags name.
func newRegistry(cfg config, log *slog.Logger) (*guardregistry.Registry, error) {
	reg, err := guardregistry.ByName(cfg.registry, cfg.registryAddress, guardregistry.Config{
		Logger: log, Heartbeat: min(cfg.server.registerInterval, maxHeartbeat),
	})
	if err != nil {
		return nil, usageError{err}
	}
	return reg, nil
}

// newBroker returns the guarded broker that the flags name.
func newBroker(cfg config, reg registry.Registry, log *slog.Logger) (*guardbroker.Broker, error) {
	b, err := guardbroker.ByName(cfg.broker, guardbroker.Options{
		Config: guardbroker.Config{Logger: log}, Address: cfg.brokerAddress,
		Registry: reg, ClientName: cfg.server.name + "-" + cfg.server.id,
	})
	if err != nil {
		return nil, usageError{err}
	}
	return b, nil
}

// newClient makes a client of our own: go-micro's default one is shared by
// everything in a process.
func (i *instance) newClient() {
	i.client = client.NewClient(
		client.Registry(i.registry),
		client.Broker(i.broker),
		client.Transport(i.transport),
		client.RequestTimeout(i.cfg.client.timeout),
		client.Retries(i.cfg.client.retries),
		client.PoolSize(i.cfg.client.poolSize),
		client.PoolTTL(i.cfg.client.poolTTL),
		client.WithLogger(guard.NewLogger(i.log)),
	)
}

// newServer makes the RPC server, our own as well.
func (i *instance) newServer() error {
	s := i.cfg.server
	i.server = server.NewServer(
		server.Name(s.name),
		server.Version(s.version),
		server.Id(s.id),
		server.Address(s.address),
		server.Advertise(s.advertise),
		server.Metadata(s.metadata),
		server.Registry(i.registry),
		server.Broker(i.broker),
		server.Transport(i.transport),
		server.RegisterTTL(s.registerTTL),
		server.RegisterInterval(s.registerInterval),
		server.Codec("application/json", handler.JSONCodec()),
		server.WithLogger(guard.NewLogger(i.log)),
	)
	i.reporter = health.NewReporter(i, health.WithObserver(i.know), health.WithLogger(i.log))
	if err := i.server.Init(server.WrapHandler(i.transport.Recover()), server.WrapHandler(i.reporter.HandlerWrapper())); err != nil {
		return fmt.Errorf("preparing the RPC server: %w", err)
	}
	answers := handler.NewMonitor(handler.MonitorConfig{
		Store: i.store, Instance: i.node, Log: i.log,
		Group: i.monitors.group, Policy: i.cfg.policy, Level: i.level,
	})
	if err := monitorpb.RegisterMonitorHandler(i.server, answers); err != nil {
		return fmt.Errorf("preparing the RPC server: %w", err)
	}
	return nil
}

// Run serves until ctx ends or a part fails, then stops in order: stop probing,
// tell what is owed, leave the registry and finish the calls in flight, stop
// hearing, store what was heard.
func (i *instance) Run(ctx context.Context) error {
	defer i.monitors.close()
	failed := make(chan error, 1)
	start := func(name string, run func(context.Context) error) *actor {
		return startActor(ctx, name, run, failed)
	}
	a := actors{
		web:      start("HTTP", i.web.Run),
		registry: start("registry", i.registry.Run),
		broker:   start("broker", i.broker.Run),
		store:    start("store", i.store.Run),
		events:   start("events", i.events.Run),
	}
	a.service = start("RPC", i.runService)
	a.guardian = start("guardian", i.monitors.guardian.Run)
	a.ledger = start("state", i.monitors.runLedger)
	a.deliverer = start("actions", i.monitors.deliverer.Run)
	a.probes = start("monitors", i.monitors.group.Run)
	a.reload = start("reload", i.monitors.watch)
	err := i.events.Subscribe(i.broker)
	a.reporter = start("reporter", i.runReporter)
	i.log.Info("serving", "node", i.node, "version", i.cfg.server.version, "http", i.web.Addr())

	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	}
	i.log.Info("stopping")
	return errors.Join(err, i.stop(a))
}

// runService runs the go-micro service. Its own signal handling is off: it
// would end the process in an order of its own.
func (i *instance) runService(ctx context.Context) error {
	service := micro.NewService(
		micro.Server(i.server),
		micro.Client(i.client),
		micro.HandleSignal(false),
		micro.Context(ctx),
		micro.Logger(guard.NewLogger(i.log)),
		micro.AfterStart(func() error {
			i.parts.serving(i.server.Options().Address)
			return nil
		}),
	)
	err := service.Run()
	var listening *net.OpError
	if errors.As(err, &listening) && listening.Op == "listen" {
		return fmt.Errorf("%w; --%s names another address", err, flagServerAddress)
	}
	return err
}

// runReporter reports on the instance itself from when it serves and hears, or
// soon after if the broker is away.
func (i *instance) runReporter(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	for patience.Err() == nil && (i.parts.rpcAddress() == "" || !i.broker.State().OK) {
		pause(patience, 5*time.Millisecond)
	}
	if ctx.Err() != nil {
		return nil
	}
	return i.reporter.Run(ctx)
}
