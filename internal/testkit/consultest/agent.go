// Package consultest starts real Consul agents for tests.
package consultest

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// Agent is a Consul agent that a test may freeze, kill and start again. It is
// killed when the test ends.
type Agent struct {
	// Dir is a directory for the agent's files.
	Dir string
	// Port is the agent's HTTP or HTTPS port on 127.0.0.1.
	Port int
	// Args are the arguments of the next Start.
	Args []string
	// Token is the token that Client uses.
	Token string
	// Transport makes Client use HTTPS over it. Nil: HTTP.
	Transport *http.Transport

	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{}
	log   *os.File
}

// New returns an agent in development mode, which keeps its data in memory. It is
// not started yet.
func New(t testing.TB) *Agent {
	t.Helper()
	return newAgent(t, "-dev")
}

// Start returns a running agent in development mode.
func Start(t testing.TB) *Agent {
	t.Helper()
	a := New(t)
	a.Start()
	a.Ready()
	return a
}

// StartPersistent returns a running agent that keeps its data over a restart.
func StartPersistent(t testing.TB) *Agent {
	t.Helper()
	a := newAgent(t, "-server", "-bootstrap-expect=1", "-data-dir="+t.TempDir(), "-hcl=performance { raft_multiplier = 1 }")
	a.Start()
	a.Ready()
	return a
}

func newAgent(t testing.TB, mode ...string) *Agent {
	t.Helper()
	ports := testkit.FreePorts(t, 3)
	a := &Agent{t: t, Dir: t.TempDir(), Port: ports[0]}
	a.Args = append([]string{
		"agent", "-bind=127.0.0.1", "-log-level=warn",
		"-http-port=" + strconv.Itoa(ports[0]),
		"-serf-lan-port=" + strconv.Itoa(ports[1]),
		"-server-port=" + strconv.Itoa(ports[2]),
		"-serf-wan-port=-1", "-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1",
	}, mode...)
	t.Cleanup(a.Kill)
	return a
}

// Start starts the agent and does not wait until it is ready.
func (a *Agent) Start() {
	a.t.Helper()
	log, err := os.OpenFile(filepath.Join(a.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		a.t.Fatal(err)
	}
	a.log = log
	a.cmd = exec.Command(testkit.Tool(a.t, "consul", "CONSUL_BIN"), a.Args...)
	a.cmd.Stdout, a.cmd.Stderr = log, log
	started := make(chan error, 1)
	a.ended = make(chan struct{})
	go func() {
		// Pdeathsig is sent when the thread that started the agent ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		err := a.cmd.Start()
		started <- err
		if err == nil {
			_ = a.cmd.Wait()
		}
		close(a.ended)
	}()
	if err := <-started; err != nil {
		a.t.Fatal(err)
	}
}

// Ready waits until the agent's cluster has a leader and returns how long that took.
func (a *Agent) Ready() time.Duration {
	a.t.Helper()
	client := a.Client()
	start := time.Now()
	for time.Since(start) < 30*time.Second {
		if leader, err := client.Status().Leader(); err == nil && leader != "" {
			return time.Since(start)
		}
		select {
		case <-a.ended:
			a.t.Fatalf("the Consul agent ended: %s", a.logged())
		case <-time.After(10 * time.Millisecond):
		}
	}
	a.t.Fatalf("the Consul agent is not ready: %s", a.logged())
	return 0
}

func (a *Agent) logged() string {
	text, err := os.ReadFile(filepath.Join(a.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Address returns host:port of the agent.
func (a *Agent) Address() string { return testkit.LocalAddress(a.Port) }

// Client returns a client of Consul's own that keeps no connection open.
func (a *Agent) Client() *api.Client {
	a.t.Helper()
	transport, scheme := a.Transport, "https"
	if transport == nil {
		transport, scheme = &http.Transport{DisableKeepAlives: true}, "http"
	}
	client, err := api.NewClient(&api.Config{
		Address:    a.Address(),
		Scheme:     scheme,
		Token:      a.Token,
		HttpClient: &http.Client{Timeout: 5 * time.Second, Transport: transport},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return client
}

// Kill ends the agent at once, as a crash would. It may be started again.
func (a *Agent) Kill() {
	if a.cmd == nil || a.cmd.Process == nil {
		return
	}
	_ = a.cmd.Process.Kill()
	<-a.ended
	_ = a.log.Close()
	a.cmd = nil
}

// Freeze stops the agent's process: it accepts connections and does not answer.
func (a *Agent) Freeze() { a.signal(syscall.SIGSTOP) }

// Thaw continues a frozen agent.
func (a *Agent) Thaw() { a.signal(syscall.SIGCONT) }

func (a *Agent) signal(s syscall.Signal) {
	a.t.Helper()
	if err := a.cmd.Process.Signal(s); err != nil {
		a.t.Fatal(err)
	}
}

// Passing reports whether the node of the service is registered and its check
// passes.
func (a *Agent) Passing(service, id string) bool {
	return slices.Contains(a.Nodes(service), id)
}

// Nodes returns the ids of the passing nodes of a service.
func (a *Agent) Nodes(service string) []string {
	entries, _, err := a.Client().Health().Service(service, "", true, nil)
	if err != nil {
		return nil
	}
	ids := make([]string, 0, len(entries))
	for _, e := range entries {
		ids = append(ids, e.Service.ID)
	}
	return ids
}

// Registers reports whether a request to an agent registers a service of that name.
func Registers(r *http.Request, body []byte, name string) bool {
	var reg struct{ Name string }
	return strings.HasPrefix(r.URL.Path, "/v1/agent/service/register") &&
		json.Unmarshal(body, &reg) == nil && reg.Name == name
}

// ClearEnv unsets the variables that Consul's client reads, until the test ends.
func ClearEnv(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		api.HTTPAddrEnvName, api.HTTPTokenEnvName, api.HTTPTokenFileEnvName, api.HTTPAuthEnvName,
		api.HTTPSSLEnvName, api.HTTPCAFile, api.HTTPCAPath, api.HTTPClientCert, api.HTTPClientKey,
		api.HTTPTLSServerName, api.HTTPSSLVerifyEnvName, api.HTTPNamespaceEnvName, api.HTTPPartitionEnvName,
	} {
		t.Setenv(name, "")
	}
}
