package service

import (
	"net/netip"
	"time"

	"github.com/microhq/monitor-srv/access"
)

// DefaultConfigDir is where files of monitors are read unless another directory is
// configured. It need not exist.
const DefaultConfigDir = "/usr/local/etc/monitor-srv"

// Config is the configuration of an instance. DefaultConfig has a value for everything that
// is required; Check validates it.
type Config struct {
	HTTP HTTPConfig
	Log  LogConfig

	// ConfigDir is the directory whose files *.toml define monitors. It is watched,
	// also before it exists. Required.
	ConfigDir string
	// StateDir stores registered monitors, open failures and pending notifications for
	// the next start. Empty: they are lost.
	StateDir string
	// Policy says who may change what; Hosts is set by the instance. The zero Policy
	// allows no changes.
	Policy access.Policy
	// AllowTargets are private networks that monitors registered by an operator may
	// reach. Empty: none.
	AllowTargets []netip.Prefix

	// Retention of missing checks, 1 minute to 90 days. Required.
	Retention time.Duration
	// MaxEntries bounds the number of checks, statuses and stats in the store, 100 to
	// 10,000,000. Required.
	MaxEntries int

	Registry RegistryConfig
	Broker   BrokerConfig
	Server   ServerConfig
	Client   ClientConfig
}

// HTTPConfig is the HTTP door.
type HTTPConfig struct {
	// Address to listen at, HOST:PORT; port 0 takes a free one. Required.
	Address string
	// Hosts are further names by which clients may know the instance, without port.
	Hosts []string
}

// LogConfig is the log.
type LogConfig struct {
	// Format is "text" or "json". Required.
	Format string
	// Verbosity is the lowest level that is logged: critical, error, warning, info
	// or debug. Required.
	Verbosity string
}

// RegistryConfig is where services are found.
type RegistryConfig struct {
	// Name is "consul", "mdns" or "memory". Required.
	Name string
	// Address of Consul. Empty: what CONSUL_HTTP_ADDR says, or Consul's default.
	Address string
}

// BrokerConfig is how events arrive.
type BrokerConfig struct {
	// Name is "http" or "nats". Required.
	Name string
	// Address to listen at for http, a free port of 127.0.0.1 if empty;
	// comma-separated list of servers for nats, the default server if empty.
	Address string
}

// ServerConfig is the RPC server and how it is registered.
type ServerConfig struct {
	// Name of the service. Required.
	Name string
	// Version that is registered and reported. Empty is fine.
	Version string
	// ID of the instance; its node is Name-ID. Empty: a random one.
	ID string
	// Address to listen at, HOST:PORT; port 0 takes a free one. Required.
	Address string
	// Advertise is the HOST:PORT that is registered. Empty: the one of Address.
	Advertise string
	// Metadata of the node.
	Metadata map[string]string
	// RegisterTTL is the time after which the registry drops a node that was not
	// registered again: more than RegisterInterval, 24 hours at most. Required.
	RegisterTTL time.Duration
	// RegisterInterval is the time between two registrations, 1 second to 1 hour.
	// Required.
	RegisterInterval time.Duration
}

// ClientConfig is how other services are called.
type ClientConfig struct {
	// Timeout of a call. Required.
	Timeout time.Duration
	// Retries of a failed call. Zero: none.
	Retries int
	// PoolSize is the number of idle connections to a node, at least 1. Required.
	PoolSize int
	// PoolTTL is the age at which a connection is closed. Required.
	PoolTTL time.Duration
}

// DefaultConfig returns the configuration of an instance that needs nothing else.
func DefaultConfig() Config {
	return Config{
		HTTP:       HTTPConfig{Address: "127.0.0.1:3838"},
		Log:        LogConfig{Format: "text", Verbosity: "info"},
		ConfigDir:  DefaultConfigDir,
		Retention:  24 * time.Hour,
		MaxEntries: usualEntries,
		Registry:   RegistryConfig{Name: "consul"},
		Broker:     BrokerConfig{Name: "http"},
		Server: ServerConfig{
			Name: "go.micro.srv.monitor", Address: ":0",
			RegisterTTL: 20 * time.Second, RegisterInterval: 5 * time.Second,
		},
		Client: ClientConfig{Timeout: 5 * time.Second, Retries: 1, PoolSize: 1, PoolTTL: time.Minute},
	}
}
