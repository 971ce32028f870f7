package cli

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/service"
)

// Names of flags. go-micro's keep go-micro's names; those of settings of an instance
// are theirs.
const (
	flagHTTPHost       = "http_host"
	flagConfigDir      = "config_dir"
	flagAllowExecAPI   = "allow_exec_api"
	flagExecAllow      = "exec_allow"
	flagAllowTargets   = "allow_targets"
	flagOutput         = "output"
	flagStrict         = "strict"
	flagServerName     = "server_name"
	flagServerVersion  = "server_version"
	flagServerID       = "server_id"
	flagServerMetadata = "server_metadata"

	flagHTTPAddress      = string(service.HTTPAddress)
	flagStateDir         = string(service.StateDir)
	flagTokenFile        = string(service.TokenFile)
	flagInsecureAPI      = string(service.InsecureAPI)
	flagLogFormat        = string(service.LogFormat)
	flagVerbosity        = string(service.Verbosity)
	flagRetention        = string(service.Retention)
	flagMaxEntries       = string(service.MaxEntries)
	flagRegistry         = string(service.Registry)
	flagRegistryAddress  = string(service.RegistryAddress)
	flagBroker           = string(service.Broker)
	flagBrokerAddress    = string(service.BrokerAddress)
	flagServerAddress    = string(service.ServerAddress)
	flagServerAdvertise  = string(service.ServerAdvertise)
	flagRegisterTTL      = string(service.RegisterTTL)
	flagRegisterInterval = string(service.RegisterInterval)
	flagRequestTimeout   = string(service.RequestTimeout)
	flagRetries          = string(service.Retries)
	flagPoolSize         = string(service.PoolSize)
	flagPoolTTL          = string(service.PoolTTL)
)

// flags are go-micro's, as far as they apply to a service that brings its own
// server, client and transport, and our own.
func flags() []cli.Flag {
	d := service.DefaultConfig()
	return append(ownFlags(d), microFlags(d)...)
}

func ownFlags(d service.Config) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagHTTPAddress, Aliases: []string{"s"}, EnvVars: []string{"MONITOR_HTTP_ADDRESS"}, Value: d.HTTP.Address, Usage: "serve HTTP at `HOST:PORT`; for commands: ask the instance at [x:TOKEN@]HOST:PORT"},
		&cli.StringSliceFlag{Name: flagHTTPHost, EnvVars: []string{"MONITOR_HTTP_HOST"}, Usage: "answer requests for `HOST` too; repeatable"},
		&cli.StringFlag{Name: flagConfigDir, Aliases: []string{"d"}, EnvVars: []string{"MONITOR_CONFIG_DIR"}, Value: d.ConfigDir, Usage: "run the monitors defined in the files *.toml of `DIR`"},
		&cli.StringFlag{Name: flagStateDir, EnvVars: []string{"MONITOR_STATE_DIR"}, Usage: "keep registered monitors, open failures and pending notifications in `DIR`"},
		&cli.StringFlag{Name: flagTokenFile, EnvVars: []string{"MONITOR_TOKEN_FILE"}, Usage: "allow changes with a token from `FILE`, which has one role:token a line"},
		&cli.BoolFlag{Name: flagInsecureAPI, EnvVars: []string{"MONITOR_INSECURE_API"}, Usage: "without tokens, allow changes to every client of this machine"},
		&cli.BoolFlag{Name: flagAllowExecAPI, EnvVars: []string{"MONITOR_ALLOW_EXEC_API"}, Usage: "allow admins to register monitors that run commands"},
		&cli.StringFlag{Name: flagExecAllow, EnvVars: []string{"MONITOR_EXEC_ALLOW"}, Usage: "restrict --allow_exec_api to the commands listed in `FILE`"},
		&cli.StringSliceFlag{Name: flagAllowTargets, EnvVars: []string{"MONITOR_ALLOW_TARGETS"}, Usage: "allow monitors registered by operators to reach the private network `CIDR`; repeatable"},
		&cli.StringFlag{Name: flagOutput, Aliases: []string{"o"}, EnvVars: []string{"MONITOR_OUTPUT"}, Value: "table", Usage: "print results in `FORMAT`, table or json (probe)"},
		&cli.BoolFlag{Name: flagStrict, EnvVars: []string{"MONITOR_STRICT"}, Usage: "fail on warnings too (check)"},
		&cli.StringFlag{Name: flagLogFormat, EnvVars: []string{"MONITOR_LOG_FORMAT"}, Value: d.Log.Format, Usage: "log in `FORMAT`, text or json"},
		&cli.StringFlag{Name: flagVerbosity, EnvVars: []string{"MONITOR_VERBOSITY"}, Value: d.Log.Verbosity, Usage: "lowest `LEVEL` to log: critical, error, warning, info or debug"},
		&cli.DurationFlag{Name: flagRetention, EnvVars: []string{"MONITOR_RETENTION"}, Value: d.Retention, Usage: "keep what is missing for `DURATION` before forgetting it"},
		&cli.IntFlag{Name: flagMaxEntries, EnvVars: []string{"MONITOR_MAX_ENTRIES"}, Value: d.MaxEntries, Usage: "hold at most `N` checks, statuses and stats"},
	}
}

func microFlags(d service.Config) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagRegistry, EnvVars: []string{"MICRO_REGISTRY"}, Value: d.Registry.Name, Usage: "`REGISTRY` to use: consul, mdns or memory"},
		&cli.StringFlag{Name: flagRegistryAddress, EnvVars: []string{"MICRO_REGISTRY_ADDRESS"}, Usage: "`ADDRESS` of the registry (default: CONSUL_HTTP_ADDR)"},
		&cli.StringFlag{Name: flagBroker, EnvVars: []string{"MICRO_BROKER"}, Value: d.Broker.Name, Usage: "`BROKER` to receive events through: http or nats"},
		&cli.StringFlag{Name: flagBrokerAddress, EnvVars: []string{"MICRO_BROKER_ADDRESS"}, Usage: "http: `ADDRESS` to listen at for events (default: 127.0.0.1:0); nats: comma-separated list of servers"},
		&cli.StringFlag{Name: flagServerName, EnvVars: []string{"MICRO_SERVER_NAME"}, Value: d.Server.Name, Usage: "`NAME` to register"},
		&cli.StringFlag{Name: flagServerVersion, EnvVars: []string{"MICRO_SERVER_VERSION"}, Usage: "`VERSION` to register (default: that of the program)"},
		&cli.StringFlag{Name: flagServerID, EnvVars: []string{"MICRO_SERVER_ID"}, Usage: "`ID` of this instance (default: random)"},
		&cli.StringFlag{Name: flagServerAddress, EnvVars: []string{"MICRO_SERVER_ADDRESS"}, Value: d.Server.Address, Usage: "serve RPC at `HOST:PORT`"},
		&cli.StringFlag{Name: flagServerAdvertise, EnvVars: []string{"MICRO_SERVER_ADVERTISE"}, Usage: "`HOST:PORT` to register instead of --server_address"},
		&cli.StringSliceFlag{Name: flagServerMetadata, EnvVars: []string{"MICRO_SERVER_METADATA"}, Usage: "register `KEY=VALUE` with the node; repeatable"},
		&cli.IntFlag{Name: flagRegisterTTL, EnvVars: []string{"MICRO_REGISTER_TTL"}, Value: int(d.Server.RegisterTTL / time.Second), Usage: "have the registry drop this instance `SECONDS` after it was last registered"},
		&cli.IntFlag{Name: flagRegisterInterval, EnvVars: []string{"MICRO_REGISTER_INTERVAL"}, Value: int(d.Server.RegisterInterval / time.Second), Usage: "re-register every `SECONDS`"},
		&cli.DurationFlag{Name: flagRequestTimeout, EnvVars: []string{"MICRO_CLIENT_REQUEST_TIMEOUT"}, Value: d.Client.Timeout, Usage: "timeout of a call to another service, a `DURATION`"},
		&cli.IntFlag{Name: flagRetries, EnvVars: []string{"MICRO_CLIENT_RETRIES"}, Value: d.Client.Retries, Usage: "retry a failed call to another service `N` times"},
		&cli.IntFlag{Name: flagPoolSize, EnvVars: []string{"MICRO_CLIENT_POOL_SIZE"}, Value: d.Client.PoolSize, Usage: "keep `N` connections to another service"},
		&cli.DurationFlag{Name: flagPoolTTL, EnvVars: []string{"MICRO_CLIENT_POOL_TTL"}, Value: d.Client.PoolTTL, Usage: "close connections to another service after `DURATION`"},
	}
}

// options are the values of flags and their variables, not checked yet.
type options struct {
	address string // of the instance to ask, perhaps with a token before an @
	output  string
	strict  bool
	// config is that of an instance, but for what flags say in words and files.
	config                 service.Config
	metadata, allowTargets []string
	tokenFile, execAllow   string
	isSet                  func(flag string) bool // rather than left at its default
}

func optionsOf(c *cli.Context) options {
	seconds := func(flag string) time.Duration { return time.Duration(c.Int(flag)) * time.Second }
	o := options{
		address: c.String(flagHTTPAddress), output: c.String(flagOutput), strict: c.Bool(flagStrict), isSet: c.IsSet,
		metadata: c.StringSlice(flagServerMetadata), allowTargets: c.StringSlice(flagAllowTargets),
		tokenFile: c.String(flagTokenFile), execAllow: c.String(flagExecAllow),
	}
	address, _ := splitToken(o.address)
	o.config = service.Config{
		HTTP:       service.HTTPConfig{Address: address, Hosts: c.StringSlice(flagHTTPHost)},
		Log:        service.LogConfig{Format: c.String(flagLogFormat), Verbosity: c.String(flagVerbosity)},
		ConfigDir:  c.String(flagConfigDir),
		StateDir:   c.String(flagStateDir),
		Policy:     access.Policy{Insecure: c.Bool(flagInsecureAPI), ExecAPI: c.Bool(flagAllowExecAPI)},
		Retention:  c.Duration(flagRetention),
		MaxEntries: c.Int(flagMaxEntries),
		Registry:   service.RegistryConfig{Name: c.String(flagRegistry), Address: c.String(flagRegistryAddress)},
		Broker:     service.BrokerConfig{Name: c.String(flagBroker), Address: c.String(flagBrokerAddress)},
		Server: service.ServerConfig{
			Name:             c.String(flagServerName),
			Version:          c.String(flagServerVersion),
			ID:               c.String(flagServerID),
			Address:          c.String(flagServerAddress),
			Advertise:        c.String(flagServerAdvertise),
			RegisterTTL:      seconds(flagRegisterTTL),
			RegisterInterval: seconds(flagRegisterInterval),
		},
		Client: service.ClientConfig{
			Timeout:  c.Duration(flagRequestTimeout),
			Retries:  c.Int(flagRetries),
			PoolSize: c.Int(flagPoolSize),
			PoolTTL:  c.Duration(flagPoolTTL),
		},
	}
	return o
}

// instanceConfig returns the configuration of an instance, checked.
func (inv *invocation) instanceConfig() (service.Config, error) {
	o := inv.options
	cfg := o.config
	if cfg.Server.Version == "" {
		cfg.Server.Version = inv.Version
	}
	if _, token := splitToken(o.address); token != "" {
		return cfg, usageError{fmt.Errorf("--%s holds a token: only commands that ask an instance take one, serve takes HOST:PORT", flagHTTPAddress)}
	}
	var err error
	if cfg.Server.Metadata, err = pairs(o.metadata); err != nil {
		return cfg, err
	}
	if cfg.AllowTargets, err = networks(o.allowTargets); err != nil {
		return cfg, err
	}
	if o.tokenFile != "" {
		if cfg.Policy.Tokens, err = access.Load(o.tokenFile); err != nil {
			return cfg, usageError{fmt.Errorf("--%s: %w", flagTokenFile, err)}
		}
	}
	if o.execAllow != "" {
		if cfg.Policy.ExecAllow, err = access.LoadExecAllow(o.execAllow); err != nil {
			return cfg, usageError{fmt.Errorf("--%s: %w", flagExecAllow, err)}
		}
	}
	return cfg, cfg.Check()
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

// unknownVariables lists the MICRO_ and MONITOR_ variables that are set but mean
// nothing here: most often a slip of the pen, or of another service.
func unknownVariables(environ []string) []string {
	known := map[string]bool{tokenVariable: true, "MICRO_PROXY": true, "MICRO_PROXY_ADDRESS": true}
	for _, f := range flags() {
		if f, ok := f.(cli.DocGenerationFlag); ok {
			for _, v := range f.GetEnvVars() {
				known[v] = true
			}
		}
	}
	var unknown []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		if (strings.HasPrefix(name, "MICRO_") || strings.HasPrefix(name, "MONITOR_")) && !known[name] {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}
