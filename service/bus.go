package service

import (
	"log/slog"
	"time"

	"go-micro.dev/v4/registry"

	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	guardregistry "github.com/microhq/monitor-srv/guard/registry"
)

// NewRegistry returns the guarded registry that is configured. heartbeat is the time
// between two checks of its health; zero for the default.
func NewRegistry(cfg RegistryConfig, heartbeat time.Duration, log *slog.Logger) (*guardregistry.Registry, error) {
	reg, err := guardregistry.ByName(cfg.Name, cfg.Address, guardregistry.Config{Logger: log, Heartbeat: heartbeat})
	if err != nil {
		return nil, addressError(RegistryAddress, cfg.Address, err)
	}
	return reg, nil
}

// NewBroker returns the guarded broker that is configured. name is that of the
// connection.
func NewBroker(cfg BrokerConfig, name string, reg registry.Registry, log *slog.Logger) (*guardbroker.Broker, error) {
	b, err := guardbroker.ByName(cfg.Name, guardbroker.Options{
		Config: guardbroker.Config{Logger: log}, Address: cfg.Address, Registry: reg, ClientName: name,
	})
	if err != nil {
		return nil, addressError(BrokerAddress, cfg.Address, err)
	}
	return b, nil
}

// addressError is an error about the address of a registry or broker. Without an
// address in the setting, the error names the variable that the value comes from.
func addressError(s Setting, address string, err error) error {
	if address == "" {
		return &SettingError{Setting: s, format: "%v", args: []any{err}}
	}
	return invalid(s, ": %v", err)
}
