package cli

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/service"
)

// Names of flags. go-micro's keep go-micro's names; those of settings of an instance
// are theirs.
const (
	flagHTTPHost       = "http_host"
	flagAllowExecAPI   = "allow_exec_api"
	flagExecAllow      = "exec_allow"
	flagAllowTargets   = "allow_targets"
	flagOutput         = "output"
	flagStrict         = "strict"
	flagNoSecrets      = "no_secrets"
	flagServerMetadata = "server_metadata"

	flagHTTPAddress      = string(service.HTTPAddress)
	flagConfigDir        = string(service.ConfigDir)
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
	flagServerName       = string(service.ServerName)
	flagServerVersion    = string(service.ServerVersion)
	flagServerID         = string(service.ServerID)
	flagServerAddress    = string(service.ServerAddress)
	flagServerAdvertise  = string(service.ServerAdvertise)
	flagRegisterTTL      = string(service.RegisterTTL)
	flagRegisterInterval = string(service.RegisterInterval)
	flagRequestTimeout   = string(service.RequestTimeout)
	flagRetries          = string(service.Retries)
	flagPoolSize         = string(service.PoolSize)
	flagPoolTTL          = string(service.PoolTTL)
)

// options are the values of flags and their variables, not checked yet.
type options struct {
	address string // of the instance to ask, perhaps with a token before an @
	output  string
	strict  bool
	// noSecrets ignores secrets that are absent.
	noSecrets bool
	// config is that of an instance, but for what flags say in words and files.
	config                 service.Config
	metadata, allowTargets []string
	tokenFile, execAllow   string
}

func newOptions() *options {
	o := &options{output: outputTable, config: service.DefaultConfig()}
	o.address = o.config.HTTP.Address
	return o
}

// servingFlags are those of serve: go-micro's, as far as they apply to a service that
// brings its own server, client and transport, and our own.
func servingFlags(o *options, s flagSet) {
	c := &o.config
	s.own(flagHTTPAddress, &o.address, "serve HTTP at `HOST:PORT`")
	s.own(flagHTTPHost, &c.HTTP.Hosts, "answer requests for `HOST` too; repeatable")
	s.own(flagConfigDir, &c.ConfigDir, "run the monitors defined in the files *.toml of `DIR`")
	s.own(flagStateDir, &c.StateDir, "keep registered monitors, open failures and pending notifications in `DIR`")
	s.own(flagTokenFile, &o.tokenFile, "allow changes with a token from `FILE`, which has one role:token a line")
	s.own(flagInsecureAPI, &c.Policy.Insecure, "without tokens, allow changes to every client of this machine")
	s.own(flagAllowExecAPI, &c.Policy.ExecAPI, "allow admins to register monitors that run commands")
	s.own(flagExecAllow, &o.execAllow, "restrict --allow_exec_api to the commands listed in `FILE`")
	s.own(flagAllowTargets, &o.allowTargets, "allow monitors registered by operators to reach the private network `CIDR`; repeatable")
	s.own(flagLogFormat, &c.Log.Format, "log in `FORMAT`, text or json", "text", "json")
	s.own(flagVerbosity, &c.Log.Verbosity, "lowest `LEVEL` to log: critical, error, warning, info or debug", levels()...)
	s.own(flagRetention, &c.Retention, "keep what is missing for `DURATION` before forgetting it")
	s.own(flagMaxEntries, &c.MaxEntries, "hold at most `N` checks, statuses and stats")
	registryFlags(c, s)
	s.micro(flagBroker, &c.Broker.Name, "`BROKER` to receive events through: http or nats", "http", "nats")
	s.micro(flagBrokerAddress, &c.Broker.Address, "http: `ADDRESS` to listen at for events (default: 127.0.0.1:0); nats: comma-separated list of servers")
	s.micro(flagServerName, &c.Server.Name, "`NAME` to register")
	s.micro(flagServerVersion, &c.Server.Version, "`VERSION` to register (default: that of the program)")
	s.micro(flagServerID, &c.Server.ID, "`ID` of this instance (default: random)")
	s.micro(flagServerAddress, &c.Server.Address, "serve RPC at `HOST:PORT`")
	s.micro(flagServerAdvertise, &c.Server.Advertise, "`HOST:PORT` to register instead of --server_address")
	s.micro(flagServerMetadata, &o.metadata, "register `KEY=VALUE` with the node; repeatable")
	s.micro(flagRegisterTTL, (*seconds)(&c.Server.RegisterTTL), "have the registry drop this instance `SECONDS` after it was last registered")
	s.micro(flagRegisterInterval, (*seconds)(&c.Server.RegisterInterval), "re-register every `SECONDS`")
	s.micro(flagRequestTimeout, &c.Client.Timeout, "timeout of a call to another service, a `DURATION`")
	s.micro(flagRetries, &c.Client.Retries, "retry a failed call to another service `N` times")
	s.micro(flagPoolSize, &c.Client.PoolSize, "keep `N` connections to another service")
	s.micro(flagPoolTTL, &c.Client.PoolTTL, "close connections to another service after `DURATION`")
}

func registryFlags(c *service.Config, s flagSet) {
	s.micro(flagRegistry, &c.Registry.Name, "`REGISTRY` to use: consul, mdns or memory", "consul", "mdns", "memory")
	s.micro(flagRegistryAddress, &c.Registry.Address, "`ADDRESS` of the registry (default: CONSUL_HTTP_ADDR)")
}

// demoFlags are those of serve, with other defaults.
func demoFlags(o *options, s flagSet) {
	o.config.Log.Verbosity, o.config.Server.Address, o.config.Registry.Name = "warning", demoRPC, ""
	servingFlags(o, s)
	s.Lookup(flagRegistry).DefValue = "mdns, or memory without multicast"
}

func outputFlag(o *options, s flagSet) {
	s.own(flagOutput, &o.output, "print results in `FORMAT`, table or json", outputs()...)
}

func askingFlags(o *options, s flagSet) {
	s.own(flagHTTPAddress, &o.address, "ask the instance at `HOST`, HOST:PORT, x:TOKEN@HOST:PORT or http://HOST:PORT")
	outputFlag(o, s)
}

// gomaFlags are those of commands that goma has: goma takes -d with all of them.
func gomaFlags(o *options, s flagSet) {
	askingFlags(o, s)
	s.own(flagConfigDir, new(string), "")
	s.Lookup(flagConfigDir).Hidden = true
}

func checkFlags(o *options, s flagSet) {
	strictFlag(o, s)
	s.own(flagNoSecrets, &o.noSecrets, "ignore secrets and certificates whose files or variables are absent")
	outputFlag(o, s)
}

func strictFlag(o *options, s flagSet) { s.own(flagStrict, &o.strict, "fail on warnings too") }

// healthFlags take a component that is not needed as a warning.
func healthFlags(o *options, s flagSet) {
	strictFlag(o, s)
	askingFlags(o, s)
}

// probeFlags say where to find the fleet, for probes that ask it.
func probeFlags(o *options, s flagSet) {
	strictFlag(o, s)
	outputFlag(o, s)
	registryFlags(&o.config, s)
	s.micro(flagServerName, &o.config.Server.Name, "`NAME` of the instances to ask for events and stats")
	s.micro(flagRetries, &o.config.Client.Retries, "retry a failed call to another service `N` times")
}

// A flagSet declares the flags of one command.
type flagSet struct{ *pflag.FlagSet }

// variableOf is the annotation of a flag that names the variable of the environment
// which sets it too.
const variableOf = "variable"

// choicesOf is the annotation that lists its values, for the completion of shells.
const choicesOf = "choices"

// own declares a flag of ours, with a MONITOR_ variable.
func (s flagSet) own(name string, target any, usage string, choices ...string) {
	s.add(name, "MONITOR_", target, usage, choices)
}

// micro declares a flag of go-micro's, with its MICRO_ variable.
func (s flagSet) micro(name string, target any, usage string, choices ...string) {
	s.add(name, "MICRO_", target, usage, choices)
}

// add declares a flag whose default is what target points to.
func (s flagSet) add(name, prefix string, target any, usage string, choices []string) {
	variable := prefix + strings.ToUpper(name)
	short := map[string]string{flagHTTPAddress: "s", flagConfigDir: "d", flagOutput: "o"}[name]
	usage += " [$" + variable + "]"
	switch v := target.(type) {
	case *string:
		s.StringVarP(v, name, short, *v, usage)
	case *bool:
		s.BoolVar(v, name, *v, usage)
	case *int:
		s.IntVar(v, name, *v, usage)
	case *time.Duration:
		s.DurationVar(v, name, *v, usage)
	case *[]string:
		s.Var((*list)(v), name, usage)
	case pflag.Value:
		s.Var(v, name, usage)
	}
	s.SortFlags = false
	f := s.Lookup(name)
	f.Annotations = map[string][]string{variableOf: {variable}, choicesOf: choices}
}

// list is a value given by comma or by repeating the flag.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }
func (l *list) Type() string   { return "list" }

func (l *list) Set(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		*l = append(*l, strings.TrimSpace(word))
	}
	return nil
}

// seconds is a duration that is given as a number of seconds, as in go-micro.
type seconds time.Duration

func (s *seconds) String() string { return strconv.Itoa(int(time.Duration(*s) / time.Second)) }
func (s *seconds) Type() string   { return "int" }

func (s *seconds) Set(text string) error {
	n, err := strconv.Atoi(text)
	*s = seconds(time.Duration(n) * time.Second)
	return err
}

// completeChoices tells the shell the values of the flags that have only some.
func completeChoices(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if choices := f.Annotations[choicesOf]; len(choices) > 0 {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
		}
	})
}

// setByVariables gives flags that are not on the command line the values of their
// variables. An empty variable counts as none.
func setByVariables(flags *pflag.FlagSet) error {
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		for _, variable := range f.Annotations[variableOf] {
			value := os.Getenv(variable)
			if f.Changed || value == "" || err != nil {
				continue
			}
			if flags.Set(f.Name, value) != nil {
				err = fmt.Errorf("%s %q: %s", variable, value, wantedOf(f))
			}
		}
	})
	return err
}

// unknownVariables lists the MICRO_ and MONITOR_ variables that are set but mean
// nothing here: most often a slip of the pen, or of another service.
func unknownVariables(environ []string) []string {
	known := map[string]bool{tokenVariable: true, "MICRO_PROXY": true, "MICRO_PROXY_ADDRESS": true}
	for _, c := range commands() {
		flags := flagSet{pflag.NewFlagSet(c.name, pflag.ContinueOnError)}
		c.flags(newOptions(), flags)
		flags.VisitAll(func(f *pflag.Flag) {
			for _, variable := range f.Annotations[variableOf] {
				known[variable] = true
			}
		})
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

// instanceConfig returns the configuration of an instance, checked.
func (inv *invocation) instanceConfig() (service.Config, error) {
	o := inv.options
	cfg := o.config
	if cfg.Server.Version == "" {
		cfg.Server.Version = inv.Version
	}
	address, token := splitToken(o.address)
	if token != "" {
		return cfg, usageError{fmt.Errorf("--%s holds a token: only commands that ask an instance take one, serve takes HOST:PORT", flagHTTPAddress)}
	}
	cfg.HTTP.Address = address
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
