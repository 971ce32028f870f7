package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/microhq/monitor-srv/access"
	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/setting"
)

// Names of flags that errors mention. go-micro's keep go-micro's names.
const (
	flagHTTPAddress      = "http_address"
	flagHTTPHost         = "http_host"
	flagConfigDir        = "config_dir"
	flagStateDir         = "state_dir"
	flagTokenFile        = "token_file"
	flagInsecureAPI      = "insecure_api"
	flagAllowExecAPI     = "allow_exec_api"
	flagExecAllow        = "exec_allow"
	flagAllowTargets     = "allow_targets"
	flagStrict           = "strict"
	flagLogFormat        = "log_format"
	flagVerbosity        = "verbosity"
	flagRetention        = "retention"
	flagMaxEntries       = "max_entries"
	flagRegistry         = "registry"
	flagRegistryAddress  = "registry_address"
	flagBroker           = "broker"
	flagBrokerAddress    = "broker_address"
	flagServerName       = "server_name"
	flagServerVersion    = "server_version"
	flagServerID         = "server_id"
	flagServerAddress    = "server_address"
	flagServerAdvertise  = "server_advertise"
	flagServerMetadata   = "server_metadata"
	flagRegisterTTL      = "register_ttl"
	flagRegisterInterval = "register_interval"
	flagRequestTimeout   = "client_request_timeout"
	flagRetries          = "client_retries"
	flagPoolSize         = "client_pool_size"
	flagPoolTTL          = "client_pool_ttl"
)

const defaultConfigDir = "/usr/local/etc/monitor-srv"

// flags are go-micro's, as far as they apply to a service that brings its own
// server, client and transport, and our own.
func flags() []cli.Flag {
	return append(ownFlags(), microFlags()...)
}

func ownFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagHTTPAddress, Aliases: []string{"s"}, EnvVars: []string{"MONITOR_HTTP_ADDRESS"}, Value: "127.0.0.1:3838", Usage: "serve HTTP at `HOST:PORT`; for commands: ask the instance at [x:TOKEN@]HOST:PORT"},
		&cli.StringSliceFlag{Name: flagHTTPHost, EnvVars: []string{"MONITOR_HTTP_HOST"}, Usage: "answer requests for `HOST` too; repeatable"},
		&cli.StringFlag{Name: flagConfigDir, Aliases: []string{"d"}, EnvVars: []string{"MONITOR_CONFIG_DIR"}, Value: defaultConfigDir, Usage: "run the monitors that the files *.toml of `DIR` define"},
		&cli.StringFlag{Name: flagStateDir, EnvVars: []string{"MONITOR_STATE_DIR"}, Usage: "keep the monitors registered at run time, open failures and what is still to be told in `DIR`"},
		&cli.StringFlag{Name: flagTokenFile, EnvVars: []string{"MONITOR_TOKEN_FILE"}, Usage: "let who has a token of `FILE`, one role:token a line, change things"},
		&cli.BoolFlag{Name: flagInsecureAPI, EnvVars: []string{"MONITOR_INSECURE_API"}, Usage: "without tokens, let every client of this machine change things"},
		&cli.BoolFlag{Name: flagAllowExecAPI, EnvVars: []string{"MONITOR_ALLOW_EXEC_API"}, Usage: "let an admin register monitors that run commands"},
		&cli.StringFlag{Name: flagExecAllow, EnvVars: []string{"MONITOR_EXEC_ALLOW"}, Usage: "narrow that to the commands of `FILE`"},
		&cli.StringSliceFlag{Name: flagAllowTargets, EnvVars: []string{"MONITOR_ALLOW_TARGETS"}, Usage: "let monitors that an operator registered reach the network `CIDR`, although it is private; repeatable"},
		&cli.StringFlag{Name: flagOutput, Aliases: []string{"o"}, EnvVars: []string{"MONITOR_OUTPUT"}, Value: "table", Usage: "print as `table or json` (probe)"},
		&cli.BoolFlag{Name: flagStrict, EnvVars: []string{"MONITOR_STRICT"}, Usage: "fail on warnings too (check)"},
		&cli.StringFlag{Name: flagLogFormat, EnvVars: []string{"MONITOR_LOG_FORMAT"}, Value: "text", Usage: "write the log as `text or json`"},
		&cli.StringFlag{Name: flagVerbosity, EnvVars: []string{"MONITOR_VERBOSITY"}, Value: "info", Usage: "log from `LEVEL` on: critical, error, warning, info or debug"},
		&cli.DurationFlag{Name: flagRetention, EnvVars: []string{"MONITOR_RETENTION"}, Value: 24 * time.Hour, Usage: "keep what is missing for `DURATION`, then forget it"},
		&cli.IntFlag{Name: flagMaxEntries, EnvVars: []string{"MONITOR_MAX_ENTRIES"}, Value: 100_000, Usage: "hold at most `N` checks, states and stats in all"},
	}
}

func microFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagRegistry, EnvVars: []string{"MICRO_REGISTRY"}, Value: "consul", Usage: "find and be found through `consul, mdns or memory`"},
		&cli.StringFlag{Name: flagRegistryAddress, EnvVars: []string{"MICRO_REGISTRY_ADDRESS"}, Usage: "`ADDRESS` of the registry; CONSUL_HTTP_ADDR if not given"},
		&cli.StringFlag{Name: flagBroker, EnvVars: []string{"MICRO_BROKER"}, Value: "http", Usage: "hear events through `http or nats`"},
		&cli.StringFlag{Name: flagBrokerAddress, EnvVars: []string{"MICRO_BROKER_ADDRESS"}, Usage: "http: listen for events at `ADDRESS` (default 127.0.0.1:0); nats: the servers, by comma"},
		&cli.StringFlag{Name: flagServerName, EnvVars: []string{"MICRO_SERVER_NAME"}, Value: "go.micro.srv.monitor", Usage: "`NAME` to register under"},
		&cli.StringFlag{Name: flagServerVersion, EnvVars: []string{"MICRO_SERVER_VERSION"}, Usage: "`VERSION` to register; that of the program if not given"},
		&cli.StringFlag{Name: flagServerID, EnvVars: []string{"MICRO_SERVER_ID"}, Usage: "`ID` of this instance; made up if not given"},
		&cli.StringFlag{Name: flagServerAddress, EnvVars: []string{"MICRO_SERVER_ADDRESS"}, Value: ":0", Usage: "answer RPC at `HOST:PORT`"},
		&cli.StringFlag{Name: flagServerAdvertise, EnvVars: []string{"MICRO_SERVER_ADVERTISE"}, Usage: "`HOST:PORT` to register in place of the address"},
		&cli.StringSliceFlag{Name: flagServerMetadata, EnvVars: []string{"MICRO_SERVER_METADATA"}, Usage: "register `KEY=VALUE` with the node; repeatable"},
		&cli.IntFlag{Name: flagRegisterTTL, EnvVars: []string{"MICRO_REGISTER_TTL"}, Value: 20, Usage: "the registry drops us after `SECONDS` without a sign of life"},
		&cli.IntFlag{Name: flagRegisterInterval, EnvVars: []string{"MICRO_REGISTER_INTERVAL"}, Value: 5, Usage: "give the registry a sign of life each `SECONDS`"},
		&cli.DurationFlag{Name: flagRequestTimeout, EnvVars: []string{"MICRO_CLIENT_REQUEST_TIMEOUT"}, Value: 5 * time.Second, Usage: "give up on a call to another service after `DURATION`"},
		&cli.IntFlag{Name: flagRetries, EnvVars: []string{"MICRO_CLIENT_RETRIES"}, Value: 1, Usage: "repeat a failed call to another service `N` times"},
		&cli.IntFlag{Name: flagPoolSize, EnvVars: []string{"MICRO_CLIENT_POOL_SIZE"}, Value: 1, Usage: "keep `N` connections to another service"},
		&cli.DurationFlag{Name: flagPoolTTL, EnvVars: []string{"MICRO_CLIENT_POOL_TTL"}, Value: time.Minute, Usage: "close connections to another service after `DURATION`"},
	}
}

// config is what the flags and variables ask for, checked.
type config struct {
	httpAddress string
	httpHosts   []string
	log         logConfig

	configDir, stateDir string
	policy              access.Policy
	allowTargets        []netip.Prefix

	retention  time.Duration
	maxEntries int

	registry, registryAddress string
	broker, brokerAddress     string

	server serverConfig
	client clientConfig
}

type logConfig struct{ format, verbosity string }

type serverConfig struct {
	name, version, id             string
	address, advertise            string
	metadata                      map[string]string
	registerTTL, registerInterval time.Duration
}

type clientConfig struct {
	timeout  time.Duration
	retries  int
	poolSize int
	poolTTL  time.Duration
}

// configFrom reads and checks the flags. Its errors are of usage and name the
// flag.
func configFrom(c *cli.Context) (config, error) {
	cfg := config{
		httpAddress:     c.String(flagHTTPAddress),
		httpHosts:       c.StringSlice(flagHTTPHost),
		configDir:       c.String(flagConfigDir),
		stateDir:        c.String(flagStateDir),
		log:             logConfig{format: c.String(flagLogFormat), verbosity: c.String(flagVerbosity)},
		retention:       c.Duration(flagRetention),
		maxEntries:      c.Int(flagMaxEntries),
		registry:        c.String(flagRegistry),
		registryAddress: c.String(flagRegistryAddress),
		broker:          c.String(flagBroker),
		brokerAddress:   c.String(flagBrokerAddress),
		server: serverConfig{
			name:             c.String(flagServerName),
			version:          c.String(flagServerVersion),
			id:               c.String(flagServerID),
			address:          c.String(flagServerAddress),
			advertise:        c.String(flagServerAdvertise),
			registerTTL:      time.Duration(c.Int(flagRegisterTTL)) * time.Second,
			registerInterval: time.Duration(c.Int(flagRegisterInterval)) * time.Second,
		},
		client: clientConfig{
			timeout:  c.Duration(flagRequestTimeout),
			retries:  c.Int(flagRetries),
			poolSize: c.Int(flagPoolSize),
			poolTTL:  c.Duration(flagPoolTTL),
		},
	}
	if cfg.server.version == "" {
		cfg.server.version = version
	}
	var err error
	if cfg.server.metadata, err = pairs(c.StringSlice(flagServerMetadata)); err != nil {
		return config{}, err
	}
	if cfg.allowTargets, err = networks(c.StringSlice(flagAllowTargets)); err != nil {
		return config{}, err
	}
	if cfg.policy, err = policyFrom(c); err != nil {
		return config{}, err
	}
	return cfg, cfg.check()
}

// policyFrom reads the files that say who may change what.
func policyFrom(c *cli.Context) (access.Policy, error) {
	p := access.Policy{
		Insecure: c.Bool(flagInsecureAPI), ExecAPI: c.Bool(flagAllowExecAPI),
		Hosts: append(c.StringSlice(flagHTTPHost), c.String(flagServerAddress), c.String(flagServerAdvertise)),
	}
	var err error
	if file := c.String(flagTokenFile); file != "" {
		if p.Tokens, err = access.Load(file); err != nil {
			return p, usageError{fmt.Errorf("--%s: %w", flagTokenFile, err)}
		}
	}
	if p.Insecure && p.Tokens != nil {
		return p, usageError{fmt.Errorf("--%s and --%s exclude one another: with tokens nobody changes things without one", flagInsecureAPI, flagTokenFile)}
	}
	if file := c.String(flagExecAllow); file != "" {
		if p.ExecAllow, err = access.LoadExecAllow(file); err != nil {
			return p, usageError{fmt.Errorf("--%s: %w", flagExecAllow, err)}
		}
	}
	return p, nil
}

// networks reads networks such as 10.1.0.0/16.
func networks(words []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, w := range words {
		p, err := netip.ParsePrefix(w)
		if err != nil {
			return nil, usageError{fmt.Errorf("--%s %q is not a network: give one such as 10.1.0.0/16", flagAllowTargets, w)}
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// check refuses what cannot be meant.
func (cfg config) check() error {
	if _, err := setting.ParseLevel(cfg.log.verbosity); err != nil {
		return usageError{fmt.Errorf("--%s: %w", flagVerbosity, err)}
	}
	for _, err := range []error{
		oneOf(flagRegistry, cfg.registry, guardregistry.Names()...),
		oneOf(flagBroker, cfg.broker, guardbroker.Names()...),
		oneOf(flagLogFormat, cfg.log.format, "text", "json"),
	} {
		if err != nil {
			return err
		}
	}
	if _, token := splitToken(cfg.httpAddress); token != "" {
		return usageError{fmt.Errorf("--%s holds a token: only commands that ask take one; to serve, give HOST:PORT", flagHTTPAddress)}
	}
	for flag, address := range map[string]string{
		flagHTTPAddress:     cfg.httpAddress,
		flagServerAddress:   cfg.server.address,
		flagServerAdvertise: cfg.server.advertise,
	} {
		if address == "" && flag == flagServerAdvertise {
			continue
		}
		address, _ = splitToken(address) // it must not be shown
		if _, _, err := net.SplitHostPort(address); err != nil {
			return usageError{fmt.Errorf("--%s %q is not an address: give HOST:PORT", flag, address)}
		}
	}
	return cfg.checkNumbers()
}

// oneOf checks a flag that takes one of a few words.
func oneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return usageError{fmt.Errorf("--%s %q is not known: give one of %s", flag, value, strings.Join(allowed, ", "))}
}

func (cfg config) checkNumbers() error {
	switch ttl, interval := cfg.server.registerTTL, cfg.server.registerInterval; {
	case interval < time.Second || interval > time.Hour:
		return usageError{fmt.Errorf("--%s is out of range: give 1 to 3600 seconds", flagRegisterInterval)}
	case ttl <= interval || ttl > 24*time.Hour:
		return usageError{fmt.Errorf("--%s must be more than --%s, which is %v, and at most 86400 seconds", flagRegisterTTL, flagRegisterInterval, interval)}
	case cfg.retention < time.Minute || cfg.retention > 90*24*time.Hour:
		return usageError{fmt.Errorf("--%s %v is out of range: give 1m to 2160h", flagRetention, cfg.retention)}
	case cfg.maxEntries < 100 || cfg.maxEntries > 10_000_000:
		return usageError{fmt.Errorf("--%s %d is out of range: give 100 to 10000000", flagMaxEntries, cfg.maxEntries)}
	case cfg.client.timeout <= 0 || cfg.client.poolTTL <= 0 || cfg.client.retries < 0 || cfg.client.poolSize < 1:
		return usageError{fmt.Errorf("--%s and --%s must be more than 0, --%s at least 0, --%s at least 1", flagRequestTimeout, flagPoolTTL, flagRetries, flagPoolSize)}
	}
	return nil
}

// pairs splits KEY=VALUE words.
func pairs(words []string) (map[string]string, error) {
	m := make(map[string]string, len(words))
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		if !ok || k == "" {
			return nil, usageError{fmt.Errorf("--%s %q is not a pair: give KEY=VALUE", flagServerMetadata, w)}
		}
		m[k] = v
	}
	return m, nil
}

// strangeVariables lists the MICRO_ and MONITOR_ variables that are set but
// mean nothing here: most often a slip of the pen, or of another service.
func strangeVariables() []string {
	known := map[string]bool{"MONITOR_TOKEN": true, "MICRO_PROXY": true, "MICRO_PROXY_ADDRESS": true}
	for _, f := range flags() {
		if f, ok := f.(cli.DocGenerationFlag); ok {
			for _, v := range f.GetEnvVars() {
				known[v] = true
			}
		}
	}
	var strange []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if (strings.HasPrefix(name, "MICRO_") || strings.HasPrefix(name, "MONITOR_")) && !known[name] {
			strange = append(strange, name)
		}
	}
	slices.Sort(strange)
	return strange
}
