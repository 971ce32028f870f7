package main_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	natsbroker "github.com/go-micro/plugins/v4/broker/nats"
	"github.com/go-micro/plugins/v4/registry/consul"
	"github.com/google/go-cmp/cmp"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/sample"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// patience bounds each wait.
const patience = 30 * time.Second

func TestPingpongOverTheHTTPBrokerAndConsul(t *testing.T) {
	address := startConsul(t)
	hearing := broker.NewBroker(broker.Registry(consul.NewRegistry(registry.Addrs(address))), broker.Addrs("127.0.0.1:0"))
	publishAndStop(t, hearing, "--registry=consul", "--registry_address="+address)
}

func TestPingpongOverNATSAndConsul(t *testing.T) {
	address := startConsul(t)
	ns, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	publishAndStop(t, natsbroker.NewBroker(broker.Addrs(ns.ClientURL())),
		"--registry=consul", "--registry_address="+address, "--broker=nats", "--broker_address="+ns.ClientURL())
}

// publishAndStop runs the command with args, hears what it publishes, ends it as
// an operator would and hears that it stopped.
func publishAndStop(t *testing.T, hearing broker.Broker, args ...string) {
	t.Helper()
	heard := listen(t, hearing)
	output := new(bytes.Buffer)
	cmd := exec.CommandContext(t.Context(), build(t), args...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Env = append(os.Environ(), "MICRO_SERVER_ADDRESS=127.0.0.1:0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	want := map[string]string{
		"go.micro.healthcheck.ping": `OK "" map[foo:bar label:cruft metric:1 msg:a successful check stats:123.0]`,
		"go.micro.healthcheck.pong": `ERROR "Unknown exception" map[foo:ugh label: metric:-0.0001 msg:a catastrophic failure occurred stats:NaN]`,
	}
	ok := heard.until(func() bool { return cmp.Equal(want, heard.checks) && heard.statuses["STARTED"] })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("pingpong ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("pingpong does not end")
	}
	if !ok {
		t.Fatalf("checks (-want +got):\n%s\nstatuses %v, output:\n%s", cmp.Diff(want, heard.checks), heard.statuses, output)
	}
	if !heard.until(func() bool { return heard.statuses["STOPPED"] }) {
		t.Errorf("STOPPED was lost; heard %v, output:\n%s", heard.statuses, output)
	}
}

// ear keeps what came over the bus from the sample.
type ear struct {
	mu       sync.Mutex // guards all that follows
	checks   map[string]string
	statuses map[string]bool
}

func listen(t *testing.T, b broker.Broker) *ear {
	t.Helper()
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Disconnect() })
	e := &ear{checks: map[string]string{}, statuses: map[string]bool{}}
	subscribe := func(topic string, hear func(body []byte) error) {
		sub, err := b.Subscribe(topic, func(ev broker.Event) error {
			e.mu.Lock()
			defer e.mu.Unlock()
			return hear(ev.Message().Body)
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sub.Unsubscribe() })
	}
	subscribe(health.TopicHealthCheck, func(body []byte) error {
		var c healthpb.HealthCheck
		err := proto.Unmarshal(body, &c)
		if c.GetService().GetName() == sample.Name {
			e.checks[c.GetId()] = fmt.Sprintf("%v %q %v", c.GetStatus(), c.GetError(), c.GetResults())
		}
		return err
	})
	subscribe(health.TopicStatus, func(body []byte) error {
		var s healthpb.Status
		err := proto.Unmarshal(body, &s)
		if s.GetService().GetVersion() == sample.Version {
			e.statuses[s.GetStatus().String()] = true
		}
		return err
	})
	return e
}

// until polls what was heard and tells if it came in time.
func (e *ear) until(heard func() bool) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		e.mu.Lock()
		ok := heard()
		e.mu.Unlock()
		if ok {
			return true
		}
	}
	return false
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "pingpong")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-race", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// startConsul runs an agent on free ports and returns its HTTP address.
func startConsul(t *testing.T) string {
	t.Helper()
	binary := findConsul(t)
	ports := freePorts(t, 5)
	cmd := exec.CommandContext(t.Context(), binary, "agent", "-dev", "-bind=127.0.0.1", "-log-level=error",
		"-http-port="+ports[0], "-server-port="+ports[1], "-serf-lan-port="+ports[2], "-serf-wan-port="+ports[3],
		"-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port="+ports[4])
	output := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address := "127.0.0.1:" + ports[0]
	r := consul.NewRegistry(registry.Addrs(address))
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := r.Register(&registry.Service{Name: "probe", Nodes: []*registry.Node{{Id: "probe-1", Address: "127.0.0.1:1"}}})
		if err == nil {
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("consul is not ready: %v\n%s", err, output)
		}
	}
}

func findConsul(t *testing.T) string {
	t.Helper()
	if binary := os.Getenv("CONSUL_BIN"); binary != "" {
		return binary
	}
	if binary, err := exec.LookPath("consul"); err == nil {
		return binary
	}
	binary, err := filepath.Abs("../../bin/consul")
	if err == nil {
		_, err = os.Stat(binary)
	}
	if err != nil {
		t.Fatalf("no Consul in $CONSUL_BIN, on PATH or in bin: run make consul (%v)", err)
	}
	return binary
}

// freePorts returns ports on loopback at which nobody listens, below those that
// Linux gives to outgoing connections and for port 0.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var ports []string
	for tries := 0; len(ports) < n; tries++ {
		if tries > 1000 {
			t.Fatal("no port is free")
		}
		port := strconv.Itoa(10_000 + rand.IntN(10_000))
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			continue
		}
		defer l.Close() // so that the next one is another
		ports = append(ports, port)
	}
	return ports
}
