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

	"github.com/microhq/monitor-srv/safefile"
)

// ConsulConfig configures the connection to a Consul agent. Consul's own variables
// configure everything but the address: CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE,
// CONSUL_HTTP_AUTH, CONSUL_HTTP_SSL, CONSUL_HTTP_SSL_VERIFY, CONSUL_CACERT,
// CONSUL_CAPATH, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY, CONSUL_TLS_SERVER_NAME,
// CONSUL_NAMESPACE and CONSUL_PARTITION. The zero value means the agent that
// CONSUL_HTTP_ADDR names, or the one at 127.0.0.1:8500.
type ConsulConfig struct {
	// Address takes precedence over CONSUL_HTTP_ADDR: host, host:port,
	// http://host:port, https://host:port or unix:///path. The default port of a host
	// is 8500, as in go-micro. Of a comma-separated list only the first address is
	// used: go-micro does not fail over between them either. Give the local agent.
	Address string
	// Timeout bounds each call. A blocking query gets its wait in addition. 0: 2 s.
	Timeout time.Duration
	// MaxResponse bounds a response of the agent, in bytes. 0: 64 MiB; the catalog of
	// 10,000 nodes with their tags is about 30 MB.
	MaxResponse int64
	// Logger logs warnings about the configuration. Nil: slog.Default.
	Logger *slog.Logger
}

// ConsulClient opens registries on one Consul agent.
type ConsulClient struct {
	conf        api.Config
	address     consulAddress
	transport   *http.Transport
	timeout     time.Duration
	maxResponse int64
}

// NewConsulClient checks the configuration. It does not connect to the agent. Its
// errors name the setting or variable at fault and the remedy.
func NewConsulClient(cfg ConsulConfig) (*ConsulClient, error) {
	logger := cmp.Or(cfg.Logger, slog.Default())
	if err := checkConsulVariables(); err != nil {
		return nil, err
	}
	conf := api.DefaultConfig()
	address, err := findConsul(cfg, conf.Scheme == "https", logger)
	if err != nil {
		return nil, err
	}
	timeout := cmp.Or(cfg.Timeout, 2*time.Second)
	transport, err := newConsulTransport(conf.TLSConfig, address, timeout)
	if err != nil {
		return nil, err
	}
	if conf.TLSConfig.InsecureSkipVerify && address.scheme == "https" {
		logger.Warn("Consul's certificate is not verified", "because", api.HTTPSSLVerifyEnvName+"=false")
	}
	conf.Scheme, conf.Address, conf.PathPrefix = address.scheme, address.host, address.prefix
	return &ConsulClient{conf: *conf, address: address, transport: transport, timeout: timeout,
		maxResponse: cmp.Or(cfg.MaxResponse, 64<<20)}, nil
}

// Address returns the address of the agent: "127.0.0.1:8500" or a URL.
func (c *ConsulClient) Address() string { return c.address.String() }

// Open returns a registry whose calls end with ctx. It reads the token file and does
// not connect to the agent. Use it as Config.Open.
func (c *ConsulClient) Open(ctx context.Context) (registry.Registry, error) {
	conf := c.conf
	if err := readConsulToken(&conf); err != nil {
		return nil, err
	}
	conf.HttpClient = &http.Client{
		Transport: &consulLimits{base: c.transport, timeout: c.timeout, maxResponse: c.maxResponse, life: ctx},
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
		reader:    &catalogReader{client: client},
		life:      ctx,
		newPlugin: newPlugin,
		plugins:   make(map[string]registry.Registry),
	}, nil
}

// NewConsul returns a Registry on the agent that consul names. It sets Name, Address
// and Open of cfg.
func NewConsul(consul ConsulConfig, cfg Config) (*Registry, error) {
	consul.Logger = cmp.Or(consul.Logger, cfg.Logger)
	consul.Timeout = cmp.Or(consul.Timeout, cfg.Timeout)
	client, err := NewConsulClient(consul)
	if err != nil {
		return nil, err
	}
	cfg.Name, cfg.Address, cfg.Open = "consul", client.Address(), client.Open
	return New(cfg), nil
}

// checkConsulVariables refuses values that Consul's client only warns about: with an
// invalid CONSUL_HTTP_SSL it does not encrypt, and with an invalid
// CONSUL_HTTP_SSL_VERIFY it does not verify certificates.
func checkConsulVariables() error {
	for _, name := range []string{api.HTTPSSLEnvName, api.HTTPSSLVerifyEnvName} {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		if _, err := strconv.ParseBool(value); err != nil {
			return fmt.Errorf("%s %q: give true or false", name, value)
		}
	}
	return nil
}

// readConsulToken reads the token file, if conf names one. The file takes precedence
// over the token itself, as in Consul's own tools.
func readConsulToken(conf *api.Config) error {
	if conf.TokenFile == "" {
		return nil
	}
	data, err := safefile.Read(conf.TokenFile, maxConsulFile)
	if err != nil {
		return fmt.Errorf("reading the token file named by %s: %w", api.HTTPTokenFileEnvName, err)
	}
	if token := strings.TrimSpace(string(data)); token != "" {
		conf.Token = token
	}
	conf.TokenFile = ""
	return nil
}
