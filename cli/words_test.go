package cli

import (
	"context"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/service"
)

// parsed is what a command line says.
type parsed struct {
	command string
	options options
	words   []string
}

// parse parses a command line and runs nothing.
func parse(t *testing.T, words ...string) parsed {
	t.Helper()
	var got parsed
	root := newRoot(Process{Stdout: io.Discard, Stderr: io.Discard}, func(_ context.Context, c command, inv *invocation) error {
		got = parsed{c.name, *inv.options, inv.words}
		return nil
	})
	arranged, err := arrange(root, words)
	if err != nil {
		t.Errorf("%q: %v", words, err)
		return got
	}
	root.SetArgs(arranged)
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Errorf("%q: %v", words, err)
	}
	return got
}

// forms writes a flag and its value in every way that goma and go-micro take.
func forms(name, value string) [][]string {
	return [][]string{{"--" + name, value}, {"-" + name, value}, {"--" + name + "=" + value}, {"-" + name + "=" + value}}
}

// Every command of goma means the same with -s and -d in every form, before and behind
// the command.
func TestEveryFormOfGoma(t *testing.T) {
	for _, line := range []string{
		"serve", "list", "show 1", "start 1", "stop 1", "register FILE", "register -", "unregister 1", "verbosity", "verbosity debug",
	} {
		words := strings.Fields(line)
		for _, s := range forms("s", "x:TOKEN@mon:1") {
			for _, d := range forms("d", "/etc/goma") {
				for _, args := range [][]string{
					join(s, d, words), join(d, s, words), join(words, s, d), join(s, words, d), join(words[:1], s, d, words[1:]), join(s, d, []string{"--"}, words),
				} {
					got := parse(t, args...)
					if got.command != words[0] || !reflect.DeepEqual(got.words, words[1:]) || got.options.address != "x:TOKEN@mon:1" {
						t.Errorf("%q: %s %q at %q", args, got.command, got.words, got.options.address)
					}
					if dir := got.options.config.ConfigDir; words[0] == "serve" && dir != "/etc/goma" {
						t.Errorf("%q: the directory is %q", args, dir)
					}
				}
			}
		}
	}
}

func join(parts ...[]string) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// Every flag of serving, go-micro's among them, means the same with one dash and two,
// with = and without, with and without the command serve, before and behind it.
func TestEveryFormOfGoMicro(t *testing.T) {
	plain := parse(t).options
	flags := flagSet{pflag.NewFlagSet("", pflag.ContinueOnError)}
	servingFlags(newOptions(), flags)
	n := 0
	flags.VisitAll(func(f *pflag.Flag) {
		n++
		value := map[string]string{"int": "77", "bool": "true", "duration": "77s"}[f.Value.Type()]
		if value == "" {
			value = "-some.value" // which looks like a flag, and is none
		}
		all := forms(f.Name, value)
		if f.NoOptDefVal != "" {
			all = [][]string{{"--" + f.Name}, {"-" + f.Name}, {"--" + f.Name + "=true"}, {"-" + f.Name + "=true"}}
		}
		want := parse(t, all[2]...).options
		if reflect.DeepEqual(want, plain) {
			t.Errorf("--%s changes nothing", f.Name)
		}
		for _, form := range all {
			for _, args := range [][]string{form, join(form, []string{"serve"}), join([]string{"serve"}, form)} {
				if got := parse(t, args...); got.command != "serve" || !reflect.DeepEqual(got.options, want) {
					t.Errorf("%q: %s with %+v, want %+v", args, got.command, got.options, want)
				}
			}
		}
	})
	if n < 29 {
		t.Errorf("%d flags", n)
	}
}

// Each flag of serving sets what it says.
func TestFlagsSetTheConfiguration(t *testing.T) {
	got := parse(t, strings.Fields(`--http_address=h:1 --http_host=a,b --http_host=c --config_dir=/c --state_dir=/s --insecure_api --allow_exec_api
		--allow_targets=10.1.2.3/16 --log_format=json --verbosity=error --retention=3h --max_entries=777 --registry=mdns --registry_address=r:1 --broker=nats
		--broker_address=b:1,b:2 --server_name=n --server_version=v --server_id=i --server_address=a:1 --server_advertise=a:2 --server_metadata=k=v,l=w=x
		--register_ttl=78 --register_interval=77 --client_request_timeout=6s --client_retries=7 --client_pool_size=8 --client_pool_ttl=9s`)...)
	cfg, err := (&invocation{options: &got.options}).instanceConfig()
	want := service.Config{
		HTTP: service.HTTPConfig{Address: "h:1", Hosts: []string{"a", "b", "c"}}, Log: service.LogConfig{Format: "json", Verbosity: "error"},
		ConfigDir: "/c", StateDir: "/s", Policy: access.Policy{Insecure: true, ExecAPI: true}, AllowTargets: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
		Retention: 3 * time.Hour, MaxEntries: 777,
		Registry: service.RegistryConfig{Name: "mdns", Address: "r:1"}, Broker: service.BrokerConfig{Name: "nats", Address: "b:1,b:2"},
		Server: service.ServerConfig{
			Name: "n", Version: "v", ID: "i", Address: "a:1", Advertise: "a:2", Metadata: map[string]string{"k": "v", "l": "w=x"},
			RegisterTTL: 78 * time.Second, RegisterInterval: 77 * time.Second,
		},
		Client: service.ClientConfig{Timeout: 6 * time.Second, Retries: 7, PoolSize: 8, PoolTTL: 9 * time.Second},
	}
	if err != nil || !reflect.DeepEqual(cfg, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, cfg, want)
	}
	got = parse(t, "-token_file=/t", "-exec_allow=/e")
	if got.options.tokenFile != "/t" || got.options.execAllow != "/e" {
		t.Errorf("%+v", got.options)
	}
}

// The flags of commands stand before and behind the command and its words.
//
// Faults: U9.
func TestFlagsStandAnywhere(t *testing.T) {
	for _, c := range []struct{ flag, line string }{
		{"--strict", "check a b"}, {"-strict", "check a b"}, {"-o json", "check a b"}, {"--o=json", "probe - x"}, {"-output json", "version"},
		{"-registry_address h:1", "probe - x"}, {"-registry=mdns", "demo"}, {"-s=mon", "health"}, {"-http_address mon", "health"},
	} {
		flag, words := strings.Fields(c.flag), strings.Fields(c.line)
		want := parse(t, join(flag, words)...)
		if reflect.DeepEqual(want.options, parse(t, words...).options) || want.command != words[0] || !reflect.DeepEqual(want.words, words[1:]) {
			t.Errorf("%s %s: %+v", c.flag, c.line, want)
		}
		for i := range words {
			args := join(words[:i+1], flag, words[i+1:])
			if got := parse(t, args...); !reflect.DeepEqual(got, want) {
				t.Errorf("%q: %+v, want %+v", args, got, want)
			}
		}
	}
	if got := parse(t, "show", "-s", "mon", "--", "-s"); got.words[0] != "-s" || got.options.address != "mon" {
		t.Errorf("behind --: %+v", got)
	}
}

// A variable sets what its flag sets, lists by comma; the flag wins over it, and an
// empty one counts as none.
func TestVariablesSetFlags(t *testing.T) {
	testkit.Setenv(t, "MONITOR_HTTP_HOST=a, b", "MICRO_REGISTER_TTL=77", "MICRO_REGISTRY=mdns", "MONITOR_INSECURE_API=true", "MONITOR_CONFIG_DIR=")
	got := parse(t, "--registry=memory").options
	want := parse(t, "--http_host=a", "--http_host=b", "--register_ttl=77", "--insecure_api", "--registry=memory").options
	if !reflect.DeepEqual(got, want) || got.config.Registry.Name != "memory" || len(got.config.HTTP.Hosts) != 2 {
		t.Errorf("%+v, want %+v", got, want)
	}
	t.Setenv("MICRO_REGISTER_TTL", "soon")
	_, stderr, code := monitorSrv(t, "")
	if want := "monitor-srv: MICRO_REGISTER_TTL \"soon\": give a whole number\n"; code != ExitUsage || stderr != want {
		t.Errorf("exit %d, %q, want %q", code, stderr, want)
	}
}

// An empty argument is mostly a variable that is not set.
// Faults: U9.
func TestEmptyArgumentsAreRefused(t *testing.T) {
	for _, command := range []string{"show", "stop", "checks", "register", "check"} {
		_, stderr, code := monitorSrv(t, "", command, "")
		if want := `an argument of "` + command + `" is empty: give it as in: monitor-srv ` + command; code != ExitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %q; want %q", command, code, stderr, want)
		}
	}
}

// Editors of Windows put a byte order mark before a text.
// Faults: C04.
func TestDefinitionsBeginWithAByteOrderMark(t *testing.T) {
	for _, text := range []string{`{"name":"a","probe":{"type":"tcp","address":"192.0.2.1:1"}}`, "[[monitor]]\nname = \"a\"\nprobe = { type = \"tcp\", address = \"192.0.2.1:1\" }\n"} {
		for _, mark := range []string{"", "\ufeff", "\ufeff\r\n"} {
			got, err := readDefinitions("-", strings.NewReader(mark+text))
			if err != nil || len(got) != 1 || got[0].Name != "a" {
				t.Errorf("%q: %v, %v", mark+text, got, err)
			}
		}
	}
}
