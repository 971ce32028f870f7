//go:build image

// Package image builds the container image with a docker engine of its own, runs
// it beside a Consul container on the host's network, and asks it what a user
// would ask. It needs root and no network; "make image-test" installs the rest.
package image

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

const (
	imageName   = "monitor-srv:test"
	builderName = "builder:test"
	consulName  = "consul:test"
	version     = "1.2.3-image-test"

	sizeLimit = 40_000_000 // bytes
	stopLimit = 10 * time.Second
)

func TestImage(t *testing.T) {
	module, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	consul := filepath.Join(module, "bin", "consul")
	micro := filepath.Join(module, "bin", "micro")
	needStatic(t, consul)
	needFile(t, micro)
	e := startEngine(t)

	buildImage(t, e, module)
	buildConsul(t, e, consul)
	t.Run("Config", func(t *testing.T) { testConfig(t, e) })
	t.Run("CommandLine", func(t *testing.T) { testCommandLine(t, e) })
	t.Run("BesideConsul", func(t *testing.T) { testBesideConsul(t, e, micro) })
}

func needFile(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; run \"make image-test\", which builds it", err)
	}
}

// needStatic wants a program that runs in an image with nothing else in it. So the
// Consul of the image is always our own build, never the one on PATH.
func needStatic(t *testing.T, path string) {
	t.Helper()
	needFile(t, path)
	program, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if libraries, err := program.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Fatalf("%s needs the libraries %q (%v), but must be static; remove it and run \"make image-test\"", path, libraries, err)
	}
}

// buildImage builds the Dockerfile without any network: the imported builder holds
// all that it needs.
func buildImage(t *testing.T, e *engine, module string) {
	t.Helper()
	start := time.Now()
	importBuilder(t, e, module, builderName)
	t.Logf("builder imported in %v", time.Since(start).Round(time.Second))
	start = time.Now()
	e.docker(t, "build", "--network=none", "--build-arg", "BUILDER="+builderName,
		"--build-arg", "VERSION="+version, "--tag", imageName, module)
	t.Logf("image built in %v", time.Since(start).Round(time.Second))
}

// buildConsul builds an image that holds Consul's binary and nothing else.
func buildConsul(t *testing.T, e *engine, consul string) {
	t.Helper()
	dir := t.TempDir()
	const dockerfile = "FROM scratch\nCOPY consul /consul\nENTRYPOINT [\"/consul\"]\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, dir, nil, "cp", consul, "consul")
	e.docker(t, "build", "--network=none", "--tag", consulName, dir)
}

// testConfig reads what the image says about itself.
func testConfig(t *testing.T, e *engine) {
	var images []struct {
		Size   int64
		Config struct {
			User         string
			Entrypoint   []string
			ExposedPorts map[string]struct{}
			Healthcheck  struct{ Test []string }
		}
	}
	decode(t, e.docker(t, "image", "inspect", imageName), &images)
	image := images[0]
	t.Logf("size %.1f MB", float64(image.Size)/1e6)
	if image.Size >= sizeLimit {
		t.Errorf("the image has %d bytes, want less than %d", image.Size, sizeLimit)
	}
	if got, want := image.Config.User, "65532:65532"; got != want {
		t.Errorf("user = %q, want %q", got, want)
	}
	if got, want := fmt.Sprint(image.Config.Entrypoint), "[/monitor-srv]"; got != want {
		t.Errorf("entrypoint = %s, want %s", got, want)
	}
	if _, ok := image.Config.ExposedPorts["3838/tcp"]; !ok {
		t.Errorf("exposed ports = %v, want 3838/tcp among them", image.Config.ExposedPorts)
	}
	if got, want := fmt.Sprint(image.Config.Healthcheck.Test), "[CMD /monitor-srv health]"; got != want {
		t.Errorf("health check = %s, want %s", got, want)
	}

	container := e.docker(t, "create", imageName)
	defer e.docker(t, "rm", container)
	copied := filepath.Join(t.TempDir(), "certificates")
	e.docker(t, "cp", container+":/etc/ssl/certs/ca-certificates.crt", copied)
	if text, err := os.ReadFile(copied); err != nil || !strings.Contains(string(text), "BEGIN CERTIFICATE") {
		t.Errorf("no CA certificates in the image (%v)", err)
	}
}

// testCommandLine shows that words and flags behind the image's name reach the
// program.
func testCommandLine(t *testing.T, e *engine) {
	if got := e.docker(t, "run", "--rm", "--network=none", imageName, "version"); !strings.Contains(got, version) {
		t.Errorf("version printed %q, want %q in it", got, version)
	}
	_, err := e.try(t.Context(), nil, "run", "--rm", "--network=none", imageName, "--no_such_flag")
	if err == nil || !strings.Contains(err.Error(), "exit status 2") || !strings.Contains(err.Error(), "no_such_flag") {
		t.Errorf("an unknown flag gave %v, want exit status 2 and the flag's name", err)
	}
}

// testBesideConsul is the main job: Consul in one container, the service in
// another with as few rights as there are, both on the host's network.
func testBesideConsul(t *testing.T, e *engine, micro string) {
	consul := runConsul(t, e)
	httpAddress := testkit.FreeAddress(t)
	monitor := e.docker(t, "run", "-d", "--network=host",
		"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
		// A flag would do for the service, but the health check obeys the variable only.
		"--env", "MONITOR_HTTP_ADDRESS="+httpAddress,
		imageName, "--registry_address="+consul)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the service:\n%s", e.logs(t, monitor))
		}
	})

	poll(t, 30*time.Second, "the service to be passing in Consul", func() error { return passing(consul, 1) })
	poll(t, 30*time.Second, "micro call to be answered", func() error { return askHealthChecks(t, micro, consul) })
	poll(t, 60*time.Second, "the health check to be healthy", func() error {
		if got := e.docker(t, "inspect", "--format", "{{.State.Health.Status}}", monitor); got != "healthy" {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
	checkRights(t, e, monitor)

	start := time.Now()
	e.docker(t, "stop", "--time", "30", monitor)
	took := time.Since(start)
	t.Logf("stopped in %v", took.Round(time.Millisecond))
	if took > stopLimit {
		t.Errorf("stopping took %v, want at most %v", took, stopLimit)
	}
	if got := e.docker(t, "inspect", "--format", "{{.State.ExitCode}}", monitor); got != "0" {
		t.Errorf("exit code = %s, want 0", got)
	}
	if err := passing(consul, 0); err != nil {
		t.Errorf("after the stop: %v", err)
	}
}

// runConsul runs a dev agent on free ports and returns its HTTP address.
func runConsul(t *testing.T, e *engine) string {
	t.Helper()
	ports := testkit.FreePorts(t, 4)
	address := testkit.LocalAddress(ports[0])
	container := e.docker(t, "run", "-d", "--network=host", consulName, "agent", "-dev", "-bind=127.0.0.1",
		"-http-port="+strconv.Itoa(ports[0]), "-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1",
		"-serf-lan-port="+strconv.Itoa(ports[1]), "-serf-wan-port="+strconv.Itoa(ports[2]), "-server-port="+strconv.Itoa(ports[3]))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of Consul:\n%s", e.logs(t, container))
		}
	})
	poll(t, 30*time.Second, "Consul to have a leader", func() error {
		var leader string
		if err := get("http://"+address+"/v1/status/leader", &leader); err != nil {
			return err
		}
		if leader == "" {
			return fmt.Errorf("no leader yet")
		}
		return nil
	})
	return address
}

// passing says whether Consul lists so many passing nodes of the service.
func passing(consul string, want int) error {
	var nodes []struct{}
	if err := get("http://"+consul+"/v1/health/service/go.micro.srv.monitor?passing", &nodes); err != nil {
		return err
	}
	if len(nodes) != want {
		return fmt.Errorf("consul lists %d passing nodes, want %d", len(nodes), want)
	}
	return nil
}

// askHealthChecks asks as the README does. The service monitors itself, so there
// is a check of its own to see.
func askHealthChecks(t *testing.T, micro, consul string) error {
	cmd := exec.CommandContext(t.Context(), micro, "call", "go.micro.srv.monitor", "Monitor.HealthChecks", "{}")
	cmd.Env = append(os.Environ(), "MICRO_REGISTRY=consul", "MICRO_REGISTRY_ADDRESS="+consul)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("micro call: %w: %s", err, out)
	}
	var answer struct {
		HealthChecks []struct {
			ID string `json:"id"`
		} `json:"healthChecks"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return fmt.Errorf("micro call printed %q: %w", out, err)
	}
	if len(answer.HealthChecks) == 0 {
		return fmt.Errorf("no health check in %q", out)
	}
	return nil
}

// checkRights reads from the kernel what the process may do.
func checkRights(t *testing.T, e *engine, container string) {
	t.Helper()
	status := testkit.ReadFile(t, "/proc/"+e.docker(t, "inspect", "--format", "{{.State.Pid}}", container)+"/status")
	for _, want := range []string{
		"Uid:\t65532\t65532\t65532\t65532\n", "Gid:\t65532\t65532\t65532\t65532\n",
		"CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n",
	} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the process has not %q:\n%s", want, status)
		}
	}
}

func get(url string, target any) error {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(target)
}

func decode(t *testing.T, text string, target any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), target); err != nil {
		t.Fatalf("decode %q: %v", text, err)
	}
}
