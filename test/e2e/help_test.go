// Package e2e tests the program as its users run it: against a real Consul, a real
// NATS, goma's and go-micro's own commands, and what the documents say. The tests run
// in the root of the project.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
	"github.com/microhq/monitor-srv/web"
)

// buildDir is where binaries puts the programs under test.
var buildDir string

// binaries builds the programs under test, once.
var binaries = sync.OnceValue(func() error {
	cmd := exec.Command("go", "build", "-race", "-o", buildDir+"/", ".", "./examples/pingpong")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building: %w\n%s", err, out)
	}
	return nil
})

func TestMain(m *testing.M) {
	if err := os.Chdir(filepath.Join("..", "..")); err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "monitor-srv-test-")
	if err != nil {
		panic(err)
	}
	buildDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func binary(t testing.TB, name string) string {
	t.Helper()
	if err := binaries(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(buildDir, name)
}

// process is a program under test, with what it wrote.
type process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // set before done is closed

	out testkit.LogBuffer
}

func (p *process) output() string { return p.out.String() }

// start runs a program until the test ends.
func start(t testing.TB, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: filepath.Base(name), cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Env = append(cleanEnv(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGKILL)
		<-p.done
		if out := p.output(); t.Failed() {
			t.Logf("%s wrote:\n%s", p.name, tail(out, 8000))
		}
		if strings.Contains(p.output(), "DATA RACE") {
			t.Errorf("%s has a data race:\n%s", p.name, tail(p.output(), 8000))
		}
	})
	return p
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// terminate sends SIGTERM and returns how long the program took to end, and how.
func (p *process) terminate() (time.Duration, error) {
	began := time.Now()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return time.Since(began), p.err
	case <-time.After(30 * time.Second):
		p.t.Errorf("%s did not end within 30s of SIGTERM", p.name)
		return time.Since(began), nil
	}
}

// reload makes an instance read its files again.
func (p *process) reload() { p.signal(syscall.SIGHUP) }

// kill ends the program at once, as the kernel would.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// cleanEnv is the environment without variables that the programs obey.
func cleanEnv() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "MICRO_") && !strings.HasPrefix(e, "MONITOR_") && !strings.HasPrefix(e, "CONSUL_") {
			env = append(env, e)
		}
	}
	return env
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}

// isPassing reports whether Consul has a passing node of the service.
func isPassing(c *consultest.Agent, service string) bool { return len(c.Nodes(service)) > 0 }

// subject is an instance of the service under test.
type subject struct {
	*process
	http string
	env  []string // with which micro finds it
}

const srv = "go.micro.srv.monitor"

// startMonitor starts an instance with flags added.
func startMonitor(t testing.TB, flags ...string) *subject {
	t.Helper()
	m := &subject{http: testkit.FreeAddress(t)}
	args := append([]string{"--http_address", m.http, "--server_address", "127.0.0.1:0"}, flags...)
	m.process = start(t, nil, binary(t, "monitor-srv"), args...)
	for i, f := range flags {
		if f == "--registry_address" {
			m.env = []string{"MICRO_REGISTRY=consul", "MICRO_REGISTRY_ADDRESS=" + flags[i+1]}
		}
	}
	return m
}

// startWithConsul starts an agent and an instance that uses it, and waits until the
// instance is ready. The test runs in parallel with others.
func startWithConsul(t *testing.T) (*consultest.Agent, *subject) {
	t.Helper()
	t.Parallel()
	c := consultest.Start(t)
	m := startMonitor(t, "--registry_address", c.Address())
	m.ready(ample)
	return c, m
}

// ready waits until the instance says so and returns how long that took.
func (m *subject) ready(within time.Duration) time.Duration {
	m.t.Helper()
	return testkit.Eventually(m.t, within, "the instance is ready", func() bool {
		select {
		case <-m.done:
			m.t.Fatalf("the instance ended: %v", m.err)
		default:
		}
		code, _ := m.ask("/readyz")
		return code == http.StatusOK
	})
}

// ask asks /healthz or /readyz.
func (m *subject) ask(path string) (int, web.Report) {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + m.http + path)
	if err != nil {
		return 0, web.Report{}
	}
	defer resp.Body.Close()
	var report web.Report
	if err := json.NewDecoder(resp.Body).Decode(&report); err != nil {
		m.t.Errorf("%s: %v", path, err)
	}
	return resp.StatusCode, report
}

// component returns one component by /healthz.
func (m *subject) component(name string) web.Component {
	m.t.Helper()
	_, report := m.ask("/healthz")
	for _, p := range report.Components {
		if p.Name == name {
			return p
		}
	}
	return web.Component{Name: name}
}

// rpcAddress reads where the RPC server listens from the log.
func (m *subject) rpcAddress() string {
	m.t.Helper()
	address := regexp.MustCompile(`Listening on ([0-9.]+:[0-9]+)`)
	var found string
	testkit.Eventually(m.t, 5*time.Second, "the RPC address is logged", func() bool {
		if s := address.FindStringSubmatch(m.output()); s != nil {
			found = s[1]
		}
		return found != ""
	})
	return found
}

// call asks by RPC at the instance's own address, as curl would.
func (m *subject) call(method, request string, answer any) error {
	req, err := http.NewRequest(http.MethodPost, "http://"+m.rpcAddress(), strings.NewReader(request))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Micro-Endpoint", method)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return err
	}
	if failure := resp.Header.Get("Micro-Error"); failure != "" || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %s", method, resp.StatusCode, failure)
	}
	return json.Unmarshal(body, answer)
}

// micro runs the real micro command and returns what it wrote.
func (m *subject) micro(args ...string) (stdout, stderr string, code int) {
	m.t.Helper()
	cmd := exec.Command(testkit.Tool(m.t, "micro", "MICRO_BIN"), args...)
	cmd.Env = append(cleanEnv(), m.env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		m.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// answer is the JSON of HealthChecks, as far as the tests read it.
type answer struct {
	HealthChecks []check `json:"healthChecks"`
	Total        int     `json:"total"`
	Cursor       string  `json:"cursor"`
}

type check struct {
	ID          string            `json:"id"`
	Description string            `json:"description"`
	Status      int               `json:"status"`
	Reported    int               `json:"reported"`
	Error       string            `json:"error"`
	Results     map[string]string `json:"results"`
	Missing     bool              `json:"missing"`
	Service     struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"service"`
}

// checks asks for checks.
func (m *subject) checks(request string) answer {
	m.t.Helper()
	var a answer
	if err := m.call("Monitor.HealthChecks", request, &a); err != nil && !strings.Contains(err.Error(), "not found") {
		m.t.Error(err)
	}
	return a
}

// monitorSrv runs the program with words of a command line and a standard input.
func monitorSrv(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(binary(t, "monitor-srv"), args...)
	var out, errs strings.Builder
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = cleanEnv(), strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// configDir returns a directory with a file of monitors.
func configDir(t testing.TB, text string) string {
	t.Helper()
	return filepath.Dir(testkit.NewFile(t, "a.toml", text))
}

// isNotFound reports whether a call found nothing.
func isNotFound(err error) bool { return strings.Contains(err.Error(), "not found") }

// monitorTOML is a monitor that probes each second, with the keys of its probe and, in
// lines that follow, its actions.
func monitorTOML(name, kind, keys string) string {
	return fmt.Sprintf("[[monitor]]\nname = %q\ninterval = 1\n[monitor.probe]\ntype = %q\n%s\n", name, kind, keys)
}

// shellAction is an action that runs a command of the shell.
func shellAction(command string) string {
	return fmt.Sprintf("[[monitor.actions]]\ntype = \"exec\"\ncommand = \"/bin/sh\"\nargs = [\"-c\", %q]\n", command)
}

// command runs one command line against the instance, with a token. It runs the
// program, because parallel command lines within one process race in the library
// that parses them.
func (m *subject) command(token, stdin string, args ...string) (stdout, stderr string, code int) {
	m.t.Helper()
	cmd := exec.Command(binary(m.t, "monitor-srv"), append([]string{"-s", "x:" + token + "@" + m.http}, args...)...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = cleanEnv(), strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		m.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// Tokens of the roles operator and admin.
const (
	op  = "token-of-an-operator"
	adm = "token-of-an-admin"
)

// tokenFile returns the path of a file with the tokens op and adm.
func tokenFile(t *testing.T) string {
	t.Helper()
	file := testkit.NewFile(t, "tokens", "operator:"+op+"\nadmin:"+adm+"\n")
	return file
}

// lines collects what exec actions append to a file.
func lines(t *testing.T, file string) []string {
	t.Helper()
	if !testkit.Exists(t, file) {
		return []string{""}
	}
	return strings.Split(strings.TrimSpace(string(testkit.ReadFile(t, file))), "\n")
}
