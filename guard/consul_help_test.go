package guard_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
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
)

// regAgent is a real Consul agent that a test may freeze, kill and start again.
type regAgent struct {
	t     testing.TB
	dir   string
	http  int // port
	args  []string
	token string
	// transport reaches an agent that wants TLS; nil for one that does not.
	transport *http.Transport

	cmd   *exec.Cmd
	ended chan struct{}
	log   *os.File
}

// regConsulBinary finds the agent's program.
func regConsulBinary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("CONSUL_BIN"); path != "" {
		return path
	}
	if path, err := exec.LookPath("consul"); err == nil {
		return path
	}
	path, err := filepath.Abs("../bin/consul")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatal("there is no Consul agent: run make consul")
	}
	return path
}

// regNewAgent gives an agent that is not started yet. With data it keeps what it
// knows over a restart; without it is one of Consul's dev agents.
func regNewAgent(t testing.TB, data bool) *regAgent {
	t.Helper()
	ports := regFreePorts(t, 3)
	a := &regAgent{t: t, dir: t.TempDir(), http: ports[0]}
	a.args = []string{
		"agent", "-bind=127.0.0.1", "-log-level=warn",
		"-http-port=" + strconv.Itoa(ports[0]),
		"-serf-lan-port=" + strconv.Itoa(ports[1]),
		"-server-port=" + strconv.Itoa(ports[2]),
		"-serf-wan-port=-1", "-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1",
	}
	if data {
		a.args = append(a.args, "-server", "-bootstrap-expect=1", "-data-dir="+filepath.Join(a.dir, "data"),
			"-hcl=performance { raft_multiplier = 1 }")
	} else {
		a.args = append(a.args, "-dev")
	}
	t.Cleanup(a.kill)
	return a
}

// regStartAgent gives a running agent.
func regStartAgent(t testing.TB, data bool) *regAgent {
	t.Helper()
	a := regNewAgent(t, data)
	a.start()
	a.ready()
	return a
}

// start starts the agent and does not wait for it.
func (a *regAgent) start() {
	a.t.Helper()
	log, err := os.OpenFile(filepath.Join(a.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		a.t.Fatal(err)
	}
	a.log = log
	a.cmd = exec.Command(regConsulBinary(a.t), a.args...)
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
func (a *regAgent) ready() time.Duration {
	a.t.Helper()
	client := a.client()
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

func (a *regAgent) logged() string {
	text, err := os.ReadFile(filepath.Join(a.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (a *regAgent) address() string { return "127.0.0.1:" + strconv.Itoa(a.http) }

// client gives a client of Consul's own, without any of ours.
func (a *regAgent) client() *api.Client {
	a.t.Helper()
	transport, scheme := a.transport, "https"
	if transport == nil {
		transport, scheme = &http.Transport{DisableKeepAlives: true}, "http"
	}
	client, err := api.NewClient(&api.Config{
		Address:    a.address(),
		Scheme:     scheme,
		Token:      a.token,
		HttpClient: &http.Client{Timeout: 5 * time.Second, Transport: transport},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return client
}

// kill ends the agent at once; it may be started again.
func (a *regAgent) kill() {
	if a.cmd == nil || a.cmd.Process == nil {
		return
	}
	_ = a.cmd.Process.Kill()
	<-a.ended
	_ = a.log.Close()
	a.cmd = nil
}

// freeze makes the agent accept connections and answer nothing.
func (a *regAgent) freeze() { a.signal(syscall.SIGSTOP) }

// thaw lets a frozen agent go on.
func (a *regAgent) thaw() { a.signal(syscall.SIGCONT) }

func (a *regAgent) signal(s syscall.Signal) {
	a.t.Helper()
	if err := a.cmd.Process.Signal(s); err != nil {
		a.t.Fatal(err)
	}
}

// passing tells whether a node of the service is there and well.
func (a *regAgent) passing(service, id string) bool {
	entries, _, err := a.client().Health().Service(service, "", true, nil)
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
func (a *regAgent) nodes(service string) []string {
	entries, _, err := a.client().Health().Service(service, "", true, nil)
	if err != nil {
		return nil
	}
	ids := make([]string, 0, len(entries))
	for _, e := range entries {
		ids = append(ids, e.Service.ID)
	}
	return ids
}

// regFreePorts gives ports that are free for TCP and UDP, below those that the
// kernel gives to clients, so that nobody takes them meanwhile.
func regFreePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for p := 10000 + os.Getpid()%10000 + regPortSeed(); len(ports) < n; p++ {
		if p > 32000 {
			p = 10000
		}
		address := "127.0.0.1:" + strconv.Itoa(p)
		tcp, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		udp, err := net.ListenPacket("udp", address)
		_ = tcp.Close()
		if err != nil {
			continue
		}
		_ = udp.Close()
		ports = append(ports, p)
	}
	return ports
}

// regPortSeed spreads the ports of the tests of one process.
func regPortSeed() int { return int(time.Now().UnixNano()/1000) % 10000 }

// regProxy stands between a client and Consul and may refuse what a test picks.
type regProxy struct {
	server *http.Server
	addr   string
}

// regNewProxy forwards to the agent unless refuse answers true.
func regNewProxy(t testing.TB, to string, refuse func(r *http.Request, body []byte) bool) *regProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	p := &regProxy{addr: l.Addr().String()}
	p.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || refuse(r, body) {
			http.Error(w, "refused by the test", http.StatusInternalServerError)
			return
		}
		out := r.Clone(r.Context())
		out.RequestURI = ""
		out.URL.Scheme, out.URL.Host = "http", to
		out.Body = io.NopCloser(bytes.NewReader(body))
		rsp, err := transport.RoundTrip(out)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer rsp.Body.Close()
		for k, v := range rsp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(rsp.StatusCode)
		_, _ = io.Copy(w, rsp.Body)
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := p.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("proxy: %v", err)
		}
	}()
	t.Cleanup(func() {
		_ = p.server.Close()
		<-ended
		transport.CloseIdleConnections()
	})
	return p
}

// registers tells whether a request registers a service of that name.
func registers(r *http.Request, body []byte, name string) bool {
	var reg struct{ Name string }
	return strings.HasPrefix(r.URL.Path, "/v1/agent/service/register") &&
		json.Unmarshal(body, &reg) == nil && reg.Name == name
}

// regClearEnv takes Consul's variables out of the environment of a test.
func regClearEnv(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		api.HTTPAddrEnvName, api.HTTPTokenEnvName, api.HTTPTokenFileEnvName, api.HTTPAuthEnvName,
		api.HTTPSSLEnvName, api.HTTPCAFile, api.HTTPCAPath, api.HTTPClientCert, api.HTTPClientKey,
		api.HTTPTLSServerName, api.HTTPSSLVerifyEnvName, api.HTTPNamespaceEnvName, api.HTTPPartitionEnvName,
	} {
		t.Setenv(name, "")
	}
}

// regLong tells whether the long variants are wanted.
func regLong() bool { return os.Getenv("MONITOR_LONG") == "1" }

// regScale gives the short or the long time of a case.
func regScale(short, long time.Duration) time.Duration {
	if regLong() {
		return long
	}
	return short
}
