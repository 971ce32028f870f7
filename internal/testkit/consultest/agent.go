package consultest

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// ConsulAgent is a real Consul agent that a test may freeze, kill and start again.
type ConsulAgent struct {
	t     testing.TB
	Dir   string
	Port  int
	Args  []string
	Token string
	// transport reaches an agent that wants TLS; nil for one that does not.
	Transport *http.Transport

	cmd   *exec.Cmd
	ended chan struct{}
	log   *os.File
}

// consulBinary finds the agent's program.
func consulBinary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("CONSUL_BIN"); path != "" {
		return path
	}
	if path, err := exec.LookPath("consul"); err == nil {
		return path
	}
	path := filepath.Join(moduleRoot(t), "bin", "consul")
	if _, err := os.Stat(path); err != nil {
		t.Fatal("there is no Consul agent: run make consul")
	}
	return path
}

// moduleRoot is the directory of go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("the tests do not run below a go.mod")
	return ""
}

// NewConsul gives an agent that is not started yet. With data it keeps what it
// knows over a restart; without it is one of Consul's dev agents.
func NewConsulClient(t testing.TB, data bool) *ConsulAgent {
	t.Helper()
	ports := testkit.FreePorts(t, 3)
	a := &ConsulAgent{t: t, Dir: t.TempDir(), Port: ports[0]}
	a.Args = []string{
		"agent", "-bind=127.0.0.1", "-log-level=warn",
		"-http-port=" + strconv.Itoa(ports[0]),
		"-serf-lan-port=" + strconv.Itoa(ports[1]),
		"-server-port=" + strconv.Itoa(ports[2]),
		"-serf-wan-port=-1", "-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1",
	}
	if data {
		a.Args = append(a.Args, "-server", "-bootstrap-expect=1", "-data-dir="+filepath.Join(a.Dir, "data"),
			"-hcl=performance { raft_multiplier = 1 }")
	} else {
		a.Args = append(a.Args, "-dev")
	}
	t.Cleanup(a.Kill)
	return a
}

// StartConsul gives a running agent.
func StartConsul(t testing.TB, data bool) *ConsulAgent {
	t.Helper()
	a := NewConsulClient(t, data)
	a.Start()
	a.Ready()
	return a
}

// start starts the agent and does not wait for it.
func (a *ConsulAgent) Start() {
	a.t.Helper()
	log, err := os.OpenFile(filepath.Join(a.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		a.t.Fatal(err)
	}
	a.log = log
	a.cmd = exec.Command(consulBinary(a.t), a.Args...)
	a.cmd.Stdout, a.cmd.Stderr = log, log
	started := make(chan error, 1)
	a.ended = make(chan struct{})
	go func() {
		// The agent dies with the thread that started it, so the thread has to stay.
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

// ready waits until the agent's cluster has a leader.
func (a *ConsulAgent) Ready() time.Duration {
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

func (a *ConsulAgent) logged() string {
	text, err := os.ReadFile(filepath.Join(a.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (a *ConsulAgent) Address() string { return "127.0.0.1:" + strconv.Itoa(a.Port) }

// client gives a client of Consul's own, without any of ours.
func (a *ConsulAgent) Client() *api.Client {
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

// kill ends the agent at once; it may be started again.
func (a *ConsulAgent) Kill() {
	if a.cmd == nil || a.cmd.Process == nil {
		return
	}
	_ = a.cmd.Process.Kill()
	<-a.ended
	_ = a.log.Close()
	a.cmd = nil
}

// freeze makes the agent accept connections and answer nothing.
func (a *ConsulAgent) Freeze() { a.signal(syscall.SIGSTOP) }

// thaw lets a frozen agent go on.
func (a *ConsulAgent) Thaw() { a.signal(syscall.SIGCONT) }

func (a *ConsulAgent) signal(s syscall.Signal) {
	a.t.Helper()
	if err := a.cmd.Process.Signal(s); err != nil {
		a.t.Fatal(err)
	}
}

// passing tells whether a node of the service is there and well.
func (a *ConsulAgent) Passing(service, id string) bool {
	entries, _, err := a.Client().Health().Service(service, "", true, nil)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if e.Service.ID == id {
			return true
		}
	}
	return false
}

// nodes gives the ids of the passing nodes of a service.
func (a *ConsulAgent) Nodes(service string) []string {
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

// RegistersService tells whether a request registers a service of that name.
func RegistersService(r *http.Request, body []byte, name string) bool {
	var reg struct{ Name string }
	return strings.HasPrefix(r.URL.Path, "/v1/agent/service/register") &&
		json.Unmarshal(body, &reg) == nil && reg.Name == name
}

// ClearConsulEnv takes Consul's variables out of the environment of a test.
func ClearConsulEnv(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		api.HTTPAddrEnvName, api.HTTPTokenEnvName, api.HTTPTokenFileEnvName, api.HTTPAuthEnvName,
		api.HTTPSSLEnvName, api.HTTPCAFile, api.HTTPCAPath, api.HTTPClientCert, api.HTTPClientKey,
		api.HTTPTLSServerName, api.HTTPSSLVerifyEnvName, api.HTTPNamespaceEnvName, api.HTTPPartitionEnvName,
	} {
		t.Setenv(name, "")
	}
}
