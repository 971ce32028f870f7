package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// Wrong command lines fail with one sentence that says what to do, and with the
// exit code of usage errors.
func TestWrongCommandLines(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--foo", "flag provided but not defined: -foo; see \"monitor-srv help\""},
		{"sevre", "unknown command \"sevre\"; see \"monitor-srv help\""},
		{"sevre --registry=mdns", "unknown command \"sevre\""},
		{"serve now", "command \"serve\" takes no word \"now\""},
		{"check /tmp --strict", "flag \"--strict\" stands behind the command \"check\"; flags come first"},
		{"probe m.toml -o json", "flag \"-o\" stands behind the command \"probe\"; flags come first"},
		{"probe m.toml --output=json", "flag \"--output=json\" stands behind the command \"probe\"; flags come first"},
		{"show 1 -s=127.0.0.1:1", "flag \"-s=127.0.0.1:1\" stands behind the command \"show\"; flags come first"},
		{"probe m.toml a b", "give \"probe\" as in: monitor-srv probe FILE|DIR|- [NAME]"},
		{"check", "give \"check\" as in: monitor-srv check DIR|FILE|-"},
		{"version --registry=mdns", "flag provided but not defined: -registry; flags come before the command"},
		{"--registry=zookeeper", "--registry \"zookeeper\" is not known: give one of consul, mdns, memory"},
		{"--broker=kafka", "--broker \"kafka\" is not known: give one of http, nats"},
		{"--verbosity=loud", "--verbosity: the level \"loud\" is not known: give one of critical, error, warning, info, debug"},
		{"--log_format=xml", "--log_format \"xml\" is not known: give one of text, json"},
		{"--http_address=3838", "--http_address \"3838\" is not an address: give HOST:PORT"},
		{"--server_address=x", "--server_address \"x\" is not an address: give HOST:PORT"},
		{"--register_interval=0", "--register_interval is out of range: give 1 to 3600 seconds"},
		{"--register_ttl=5", "--register_ttl must be more than --register_interval, which is 5s, and at most 86400 seconds"},
		{"--register_ttl=x", "invalid value \"x\" for flag -register_ttl"},
		{"--retention=1s", "--retention 1s is out of range: give 1m to 2160h"},
		{"--max_entries=1", "--max_entries 1 is out of range: give 100 to 10000000"},
		{"--server_metadata=x", "--server_metadata \"x\" is not a pair: give KEY=VALUE"},
		{"--registry_address=http://a:b:c", "registry address \"http://a:b:c\": it is not host:port"},
		{"--broker=nats --broker_address=http://x", "broker address \"http://x\": unknown scheme \"http\""},
	} {
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), append([]string{"monitor-srv"}, strings.Fields(c.args)...), nil, &stdout, &stderr)
		if code != exitUsage || !strings.Contains(stderr.String(), "monitor-srv: "+c.want) {
			t.Errorf("%s: exit %d, %q; want exit %d, %q", c.args, code, stderr.String(), exitUsage, c.want)
		}
		if lines := strings.Count(strings.TrimSpace(stderr.String()), "\n"); lines > 0 || stdout.Len() > 0 {
			t.Errorf("%s: more than one line:\n%s%s", c.args, stderr.String(), stdout.String())
		}
	}
}

func TestVersion(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), []string{"monitor-srv", "version"}, nil, &stdout, &stderr); code != exitFine || stdout.String() != version+"\n" {
		t.Errorf("exit %d, %q, %q", code, stdout.String(), stderr.String())
	}
}

func TestHealthOfNobody(t *testing.T) {
	var stdout, stderr bytes.Buffer
	address := testkit.FreeAddress(t)
	code := run(context.Background(), []string{"monitor-srv", "--http_address", address, "health"}, nil, &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "connection refused; is it running, and is --http_address right?") {
		t.Errorf("exit %d, %q", code, stderr.String())
	}
}

func TestG42TakenPortIsAnErrorAtStart(t *testing.T) {
	var stdout, stderr bytes.Buffer
	m := startMonitor(t, "--registry", "memory")
	m.ready(startWithin)
	code := run(t.Context(), []string{"monitor-srv", "--registry=memory", "--http_address", m.http}, nil, &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "address already in use; --http_address names another address") {
		t.Errorf("exit %d, %q", code, stderr.String())
	}
}

// No error shows the token that goma's -s x:TOKEN@HOST:PORT carries.
func TestNoErrorShowsTheToken(t *testing.T) {
	closed := testkit.FreeAddress(t)
	for _, c := range []struct {
		address, command string
		code             int
	}{
		{"x:hunter2@" + closed, "serve", exitUsage},
		{"x:hunter2@127.0.0.1", "demo", exitUsage},
		{"x:hunter2@" + closed, "health", exitFailed},
		{"x:hunter2@bad host", "health", exitUsage},
		{"x:hunter2@" + closed, "list", exitFailed},
		{"x:hunter2@bad host:1:1", "list", exitUsage},
	} {
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), []string{"monitor-srv", "-s", c.address, c.command}, nil, &stdout, &stderr)
		if code != c.code || strings.Contains(stdout.String()+stderr.String(), "hunter2") || !strings.Contains(stderr.String(), "--http_address") {
			t.Errorf("%s at %s: exit %d, %q", c.command, c.address, code, stderr.String())
		}
	}
}

func TestTakenRPCPortIsAnErrorAtStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, command := range []string{"serve", "demo"} {
		var stdout, stderr bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		code := run(ctx, []string{"monitor-srv", "--registry=memory", "--http_address=127.0.0.1:0", "--server_address", taken.Addr().String(), command}, nil, &stdout, &stderr)
		if ctx.Err() != nil || code != exitFailed || !strings.Contains(stderr.String(), "address already in use; --server_address names another address") {
			t.Errorf("%s: exit %d, %v, %q", command, code, ctx.Err(), stderr.String())
		}
		cancel()
	}
}
