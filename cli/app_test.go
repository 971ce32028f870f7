package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// Wrong command lines fail with one sentence that says what to do, and with the
// exit code of usage errors.
//
// Faults: U9.
func TestWrongCommandLines(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--foo", "unknown flag --foo; see \"monitor-srv help\""},
		{"-foo=1 list", "unknown flag -foo; see \"monitor-srv help\""},
		{"-servername x", "unknown flag -servername; did you mean --server_name?; see"},
		{"--config-dir=x", "unknown flag --config-dir; did you mean --config_dir?; see"},
		{"list -x", "unknown flag -x; see \"monitor-srv help\""},
		{"-ojson list", "unknown flag -ojson; see \"monitor-srv help\""},
		{"sevre", "unknown command \"sevre\"; did you mean \"serve\"?; see \"monitor-srv help\""},
		{"sta", "unknown command \"sta\"; did you mean \"start\" or \"status\" or \"stop\"?; see"},
		{"xyzzy --registry=mdns", "unknown command \"xyzzy\"; see \"monitor-srv help\""},
		{"help sevre", "unknown command \"sevre\"; did you mean \"serve\"?"},
		{"-- sevre", "unknown command \"sevre\"; did you mean \"serve\"?"},
		{"-", "unknown command \"-\""},
		{"serve now", "command \"serve\" takes no arguments, got \"now\""},
		{"list --help=no", "--help \"no\": give true or false; see \"monitor-srv help list\""},
		{"probe m.toml a b", "give \"probe\" as in: monitor-srv probe FILE|DIR|- [NAME]"},
		{"check", "give \"check\" as in: monitor-srv check DIR|FILE|-"},
		{"completion", "give \"completion\" as in: monitor-srv completion bash|zsh|fish"},
		{"completion tcsh", "give \"completion\" as in: monitor-srv completion bash|zsh|fish"},
		{"version --registry=mdns", "\"monitor-srv version\" has no flag --registry; see \"monitor-srv help version\""},
		{"-state_dir /x list", "\"monitor-srv list\" has no flag --state_dir; see \"monitor-srv help list\""},
		{"--strict", "\"monitor-srv\" has no flag --strict; see \"monitor-srv help\""},
		{"list -s", "--http_address needs a value; see \"monitor-srv help list\""},
		{"list -o yaml", "--output \"yaml\" is not known: give one of table, json"},
		{"-s https://mon list", "--http_address is an https:// URL, and instances do not speak TLS: give http://HOST:PORT"},
		{"-s= list", "--http_address \"\" is not an address"},
		{"--registry=zookeeper", "--registry \"zookeeper\" is not known: give one of consul, mdns, memory"},
		{"--broker=kafka", "--broker \"kafka\" is not known: give one of http, nats"},
		{"--verbosity=loud", "--verbosity: the level \"loud\" is not known: give one of critical, error, warning, info, debug"},
		{"--log_format=xml", "--log_format \"xml\" is not known: give one of text, json"},
		{"--http_address=3838", "--http_address \"3838\" is not an address: give HOST:PORT"},
		{"--server_address=x", "--server_address \"x\" is not an address: give HOST:PORT"},
		{"--register_interval=0", "--register_interval is out of range: give 1 to 3600 seconds"},
		{"--register_ttl=5", "--register_ttl must be more than --register_interval, which is 5s, and at most 86400 seconds"},
		{"--register_ttl=x", "--register_ttl \"x\": give a whole number; see \"monitor-srv help\""},
		{"--max_entries=1.5", "--max_entries \"1.5\": give a whole number; see"},
		{"demo --retention=1", "--retention \"1\": give a duration such as 10s; see \"monitor-srv help demo\""},
		{"--insecure_api=maybe", "--insecure_api \"maybe\": give true or false; see"},
		{"--retention=1s", "--retention 1s is out of range: give 1m to 2160h"},
		{"--max_entries=1", "--max_entries 1 is out of range: give 100 to 10000000"},
		{"--client_retries=-1", "--client_retries -1 is out of range: give 0 or more"},
		{"--client_pool_size=0", "--client_pool_size 0 is out of range: give 1 or more"},
		{"--client_request_timeout=0s", "--client_request_timeout 0s is out of range: give more than 0"},
		{"--allow_targets=10.0.0.1", "--allow_targets \"10.0.0.1\" is not a network: give one such as 10.1.0.0/16"},
		{"--server_metadata=x", "--server_metadata \"x\" is not a pair: give KEY=VALUE"},
		{"--registry_address=http://a:b:c", "--registry_address: registry address \"http://a:b:c\": it is not host:port: give host:port"},
		{"--broker=nats --broker_address=http://x", "--broker_address: broker address \"http://x\": unknown scheme \"http\": give host:port"},
	} {
		stdout, stderr, code := monitorSrv(t, "", strings.Fields(c.args)...)
		if code != ExitUsage || !strings.Contains(stderr, "monitor-srv: "+c.want) {
			t.Errorf("%s: exit %d, %q; want exit %d, %q", c.args, code, stderr, ExitUsage, c.want)
		}
		if lines := strings.Count(strings.TrimSpace(stderr), "\n"); lines > 0 || stdout != "" {
			t.Errorf("%s: more than one line:\n%s%s", c.args, stderr, stdout)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, word := range []string{"version", "--version", "-version"} {
		if stdout, stderr, code := monitorSrv(t, "", word); code != ExitOK || stdout != "v1.2.3\n" {
			t.Errorf("%s: exit %d, %q, %q", word, code, stdout, stderr)
		}
	}
}

func TestHealthOfNobody(t *testing.T) {
	_, stderr, code := monitorSrv(t, "", "--http_address", closedAddress(t), "health")
	if code != ExitFailed || !strings.Contains(stderr, "connection refused; is it running, and is --http_address right?") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// Faults: G42.
func TestTakenPortIsAnErrorAtStart(t *testing.T) {
	taken := testkit.Listen(t)
	_, stderr, code := monitorSrv(t, "", "--registry=memory", "--http_address", taken.Addr().String())
	if code != ExitFailed || !strings.Contains(stderr, "address already in use; --http_address names another address") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// No error shows the token that goma's -s x:TOKEN@HOST:PORT carries.
func TestNoErrorShowsTheToken(t *testing.T) {
	closed := closedAddress(t)
	for _, c := range []struct {
		address, command string
		code             int
	}{
		{"x:hunter2@" + closed, "serve", ExitUsage},
		{"x:hunter2@127.0.0.1", "demo", ExitUsage},
		{"x:hunter2@" + closed, "health", ExitFailed},
		{"x:hunter2@bad host", "health", ExitUsage},
		{"x:hunter2@" + closed, "list", ExitFailed},
		{"x:hunter2@bad host:1:1", "list", ExitUsage},
	} {
		stdout, stderr, code := monitorSrv(t, "", "-s", c.address, c.command)
		if code != c.code || strings.Contains(stdout+stderr, "hunter2") || !strings.Contains(stderr, "--http_address") {
			t.Errorf("%s at %s: exit %d, %q", c.command, c.address, code, stderr)
		}
	}
}

func TestTakenRPCPortIsAnErrorAtStart(t *testing.T) {
	taken := testkit.Listen(t)
	for _, command := range []string{"serve", "demo"} {
		began := time.Now()
		_, stderr, code := monitorSrv(t, "", "--registry=memory", "--http_address=127.0.0.1:0", "--server_address", taken.Addr().String(), command)
		if took := time.Since(began); took > 20*time.Second || code != ExitFailed || !strings.Contains(stderr, "address already in use; --server_address names another address") {
			t.Errorf("%s: exit %d after %v, %q", command, code, took, stderr)
		}
	}
}
