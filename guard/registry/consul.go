package registry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	consulplugin "github.com/go-micro/plugins/v4/registry/consul"
	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"
)

// ConsulConfig says how the Consul agent is reached. Everything but the address
// comes from Consul's own variables: CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE,
// CONSUL_HTTP_AUTH, CONSUL_HTTP_SSL, CONSUL_HTTP_SSL_VERIFY, CONSUL_CACERT,
// CONSUL_CAPATH, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY, CONSUL_TLS_SERVER_NAME,
// CONSUL_NAMESPACE and CONSUL_PARTITION. The zero value is the agent that
// CONSUL_HTTP_ADDR names, or the one at 127.0.0.1:8500.
type ConsulConfig struct {
	// Address wins over CONSUL_HTTP_ADDR: host, host:port, http://host:port,
	// https://host:port or unix:///path. A host alone means port 8500, as in
	// go-micro. Of a comma-separated list the first is used, because several
	// addresses are no failover in go-micro either: give the local agent.
	Address string
	// AddressFrom names the flag or variable that Address came from, for errors.
	// Empty: "--registry_address".
	AddressFrom string
	// Timeout bounds each call but a blocking query, which gets its wait as well.
	// 0: 2 s.
	Timeout time.Duration
	// MaxAnswer bounds an answer of the agent, in bytes. 0: 64 MiB; the catalog of
	// 10,000 nodes with their tags is about 30 MB.
	MaxAnswer int64
	// Logger hears what is odd about the configuration. Nil: slog.Default.
	Logger *slog.Logger
}

// Consul makes registries on one Consul agent.
type ConsulClient struct {
	conf      api.Config
	target    consulTarget
	transport *http.Transport
	timeout   time.Duration
	maxAnswer int64
}

// NewConsul checks the configuration and asks nothing of the agent. Its errors
// name the flag or variable at fault and what to do.
func NewConsulClient(cfg ConsulConfig) (*ConsulClient, error) {
	logger := cmp.Or(cfg.Logger, slog.Default())
	if err := checkConsulSwitches(); err != nil {
		return nil, err
	}
	conf := api.DefaultConfig()
	target, err := findConsul(cfg, conf.Scheme == "https", logger)
	if err != nil {
		return nil, err
	}
	timeout := cmp.Or(cfg.Timeout, 2*time.Second)
	transport, err := newConsulTransport(conf.TLSConfig, target, timeout)
	if err != nil {
		return nil, err
	}
	if conf.TLSConfig.InsecureSkipVerify && target.scheme == "https" {
		logger.Warn("the certificate of Consul is not verified", "because", api.HTTPSSLVerifyEnvName+"=false")
	}
	conf.Scheme, conf.Address, conf.PathPrefix = target.scheme, target.host, target.prefix
	return &ConsulClient{conf: *conf, target: target, transport: transport, timeout: timeout,
		maxAnswer: cmp.Or(cfg.MaxAnswer, 64<<20)}, nil
}

// Address is where the agent is, for people: "127.0.0.1:8500" or a URL.
func (c *ConsulClient) Address() string { return c.target.String() }

// Open makes a registry whose calls all end with ctx. It does not call the agent,
// but it reads the token file. It is meant for RegistryConfig.Open.
func (c *ConsulClient) Open(ctx context.Context) (registry.Registry, error) {
	conf := c.conf
	if err := readConsulToken(&conf); err != nil {
		return nil, err
	}
	conf.HttpClient = &http.Client{
		Transport: &consulDeadline{base: c.transport, timeout: c.timeout, maxAnswer: c.maxAnswer, life: ctx},
	}
	context.AfterFunc(ctx, c.transport.CloseIdleConnections)
	own := conf // NewClient writes into its argument
	client, err := api.NewClient(&own)
	if err != nil {
		return nil, fmt.Errorf("making a Consul client: %w", err)
	}
	newPlugin := func() registry.Registry {
		own := conf
		return consulplugin.NewRegistry(consulplugin.Config(&own))
	}
	return &consulRegistry{
		Registry:  newPlugin(),
		client:    client,
		life:      ctx,
		newPlugin: newPlugin,
		plugins:   make(map[string]registry.Registry),
	}, nil
}

// NewConsulRegistry returns a Registry on the agent that cfg names. It fills in
// Name, Address and Open of reg.
func NewConsul(cfg ConsulConfig, reg Config) (*Registry, error) {
	cfg.Logger = cmp.Or(cfg.Logger, reg.Logger)
	cfg.Timeout = cmp.Or(cfg.Timeout, reg.Timeout)
	consul, err := NewConsulClient(cfg)
	if err != nil {
		return nil, err
	}
	reg.Name, reg.Address, reg.Open = "consul", consul.Address(), consul.Open
	return New(reg), nil
}

// checkConsulSwitches refuses what Consul's client would only warn of: with an
// unreadable CONSUL_HTTP_SSL it speaks clear text, and with an unreadable
// CONSUL_HTTP_SSL_VERIFY it verifies nothing.
func checkConsulSwitches() error {
	for _, name := range []string{api.HTTPSSLEnvName, api.HTTPSSLVerifyEnvName} {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		if _, err := strconv.ParseBool(value); err != nil {
			return fmt.Errorf("reading %s=%q: want true or false", name, value)
		}
	}
	return nil
}

// readConsulToken puts the content of the token file, if one is named, into conf.
// The file wins over the token itself, as in Consul's own tools.
func readConsulToken(conf *api.Config) error {
	if conf.TokenFile == "" {
		return nil
	}
	data, err := os.ReadFile(conf.TokenFile)
	if err != nil {
		return fmt.Errorf("reading the token file named by %s: %w", api.HTTPTokenFileEnvName, err)
	}
	if token := strings.TrimSpace(string(data)); token != "" {
		conf.Token = token
	}
	conf.TokenFile = ""
	return nil
}
