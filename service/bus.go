package service

import (
	"context"
	"log/slog"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/logger"
	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// NewRegistry returns the guarded registry that is configured. heartbeat is the time
// between two looks at it; zero for the default.
func NewRegistry(cfg RegistryConfig, heartbeat time.Duration, log *slog.Logger) (*guard.Registry, error) {
	rc := guard.RegistryConfig{Name: cfg.Name, Logger: log, Heartbeat: heartbeat}
	switch cfg.Name {
	case "mdns":
		rc.Open = func(context.Context) (registry.Registry, error) { return registry.NewRegistry(), nil }
	case "memory":
		rc.Open = func(context.Context) (registry.Registry, error) { return registry.NewMemoryRegistry(), nil }
	default:
		consul, err := guard.NewConsul(guard.ConsulConfig{Address: cfg.Address, Logger: log})
		if err != nil {
			return nil, sourced(RegistryAddress, err)
		}
		rc.Address, rc.Open = consul.Address(), consul.Open
	}
	return guard.NewRegistry(rc), nil
}

// NewBroker returns the guarded broker that is configured. name is that of the
// connection.
func NewBroker(cfg BrokerConfig, name string, reg registry.Registry, log *slog.Logger) (*guard.Broker, error) {
	var b *guard.Broker
	var err error
	common := guard.BrokerConfig{Logger: log}
	if cfg.Name == "nats" {
		nats := guard.NATSConfig{BrokerConfig: common, Name: name}
		if cfg.Address != "" {
			nats.Addresses = []string{cfg.Address}
		}
		b, err = guard.NewNATSBroker(nats)
	} else {
		b, err = guard.NewHTTPBroker(guard.HTTPBrokerConfig{BrokerConfig: common, Registry: reg, Address: cfg.Address})
	}
	if err != nil {
		return nil, sourced(BrokerAddress, err)
	}
	return b, nil
}

// NewClient returns a client of the services of a registry, for a process that is no
// instance.
func NewClient(reg registry.Registry, retries int, log *slog.Logger) client.Client {
	return client.NewClient(
		client.Registry(reg),
		client.Transport(guard.NewTransport(guard.TransportConfig{Log: log})),
		client.Retries(retries),
		client.WithLogger(guard.NewLogger(log)),
	)
}

// sourced is an error about a setting that says itself where its value comes from,
// which may be a variable of the environment.
func sourced(s Setting, err error) error {
	return &SettingError{Setting: s, format: "%v", args: []any{err}}
}

// QuietFramework sends to log what go-micro's registries and caches can only write to
// its global logger.
func QuietFramework(log *slog.Logger) { logger.DefaultLogger = guard.NewLogger(log) }
