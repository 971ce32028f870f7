package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/cli"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
)

func TestFilesProbeJudgeAndAct(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	dir, told := t.TempDir(), filepath.Join(t.TempDir(), "told")
	var mu sync.Mutex
	status := http.StatusInternalServerError
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(status)
	}))
	defer web.Close()
	file := filepath.Join(dir, "web.toml")
	text := monitorTOML("web", "http", fmt.Sprintf("url = %q", web.URL)) +
		shellAction("echo $GOMA_MONITOR $GOMA_EVENT $MONITOR_INCIDENT >> "+told)
	testkit.ReplaceFile(t, file, text)
	m := startMonitor(t, "--registry", "memory", "-d", dir)
	m.ready(startWithin)
	testkit.Eventually(t, 5*time.Second, "init and fail are told", func() bool { return len(lines(t, told)) == 2 })
	failing := m.checks(`{"id": "monitor.web"}`)
	if failing.Total != 1 || failing.HealthChecks[0].Status != 2 || !strings.Contains(failing.HealthChecks[0].Error, "500") {
		t.Errorf("the result as a check: %+v", failing)
	}
	mu.Lock()
	status = http.StatusOK
	mu.Unlock()
	testkit.Eventually(t, 5*time.Second, "the recovery is told", func() bool { return len(lines(t, told)) == 3 })
	got := lines(t, told)
	fail, recovered := strings.Fields(got[1]), strings.Fields(got[2])
	if got[0] != "web init" || len(fail) != 3 || fail[1] != "fail" || len(recovered) != 3 || recovered[1] != "recover" || fail[2] != recovered[2] {
		t.Errorf("told %q", got)
	}

	// A bad file changes nothing and says where it is wrong.
	testkit.ReplaceFile(t, file, strings.Replace(text, "url =", "urll =", 1))
	testkit.Eventually(t, 5*time.Second, "the error is logged", func() bool {
		return strings.Contains(m.output(), `web.toml:6: monitor \"web\": probe http: urll: unknown key`)
	})
	if stdout, _, _ := m.command("", "", "list"); !strings.Contains(stdout, "web ") {
		t.Errorf("the monitor is gone:\n%s", stdout)
	}
	// A second file is read when it appears, and gone when it goes.
	other := filepath.Join(dir, "other.toml")
	testkit.ReplaceFile(t, other, strings.ReplaceAll(text, `"web"`, `"other"`))
	testkit.Eventually(t, 5*time.Second, "other runs", func() bool { stdout, _, _ := m.command("", "", "list"); return strings.Contains(stdout, "other ") })
	testkit.Remove(t, other)
	m.reload()
	testkit.Eventually(t, 5*time.Second, "other is gone", func() bool { stdout, _, _ := m.command("", "", "list"); return !strings.Contains(stdout, "other ") })
	testkit.Eventually(t, 5*time.Second, "its check is gone", func() bool { return m.checks(`{"id": "monitor.other", "missing": true}`).Total == 0 })
	m.stopsInOrder(t)
}

// Faults: G46.
func TestRegisteredMonitorsSurviveAKill(t *testing.T) {
	t.Parallel()
	l := testkit.Listen(t)
	definition := func(name string) string {
		return monitorTOML(name, "tcp", fmt.Sprintf("address = %q", l.Addr()))
	}
	args := []string{"--registry", "memory", "-d", t.TempDir(), "--state_dir", filepath.Join(t.TempDir(), "state"), "--token_file", tokenFile(t)}
	m := startMonitor(t, args...)
	m.ready(startWithin)
	for i, name := range []string{"a", "b", "c"} {
		stdout, stderr, code := m.command(adm, definition(name), "register", "-")
		if want := fmt.Sprintf("%s is registered and started as monitor id=%d\n", name, i+1); code != 0 || stdout != want {
			t.Fatalf("register %s: exit %d, %q %q", name, code, stdout, stderr)
		}
	}
	if _, stderr, code := m.command(op, "", "unregister", "3"); code != 0 {
		t.Fatal(stderr)
	}
	second := append([]string{"--http_address", "127.0.0.1:0"}, args...)
	if _, stderr, code := monitorSrv(t, "", second...); code != cli.ExitFailed || !strings.Contains(stderr, "another process uses it; --state_dir names another directory") {
		t.Errorf("a second instance with the same state: exit %d, %s", code, stderr)
	}
	m.kill()
	m = startMonitor(t, args...)
	m.ready(startWithin)
	stdout, _, _ := m.command("", "", "list")
	if !strings.Contains(stdout, "1         a ") || !strings.Contains(stdout, "2         b ") || strings.Contains(stdout, "c ") {
		t.Errorf("after the kill:\n%s", stdout)
	}
	if stdout, _, _ := m.command(adm, definition("d"), "register", "-"); !strings.HasSuffix(stdout, "id=4\n") {
		t.Errorf("an id is used again: %q", stdout)
	}
	file := filepath.Join(t.TempDir(), "e.json")
	testkit.ReplaceFile(t, file, fmt.Sprintf(`{"name": "e", "probe": {"type": "tcp", "address": %q}}`, l.Addr()))
	if stdout, stderr, _ := m.command(adm, "", "register", file); !strings.HasSuffix(stdout, "id=5\n") {
		t.Errorf("a JSON file: %q %q", stdout, stderr)
	}
}

// Changing calls are refused without a token, over HTTP and RPC alike.
// Faults: G1.
func TestChangesNeedATokenEndToEnd(t *testing.T) {
	t.Parallel()
	dir := configDir(t, "[[monitor]]\nname = \"a\"\n[monitor.probe]\ntype = \"exec\"\ncommand = \"/bin/true\"\n")
	m := startMonitor(t, "--registry", "memory", "-d", dir)
	m.ready(startWithin)
	for _, args := range [][]string{{"stop", "1"}, {"unregister", "1"}, {"verbosity", "debug"}, {"register", filepath.Join(dir, "a.toml")}} {
		if _, stderr, code := m.command("guess", "", args...); code != cli.ExitFailed || !strings.Contains(stderr, "--token_file") {
			t.Errorf("%v: exit %d, %s", args, code, stderr)
		}
	}
	if err := m.call("Monitor.Stop", `{"id": 1}`, &struct{}{}); err == nil || !strings.Contains(err.Error(), "--token_file") {
		t.Errorf("Monitor.Stop: %v", err)
	}
	if stdout, _, _ := m.command("", "", "show", "1"); !strings.Contains(stdout, "Running: true") {
		t.Errorf("the monitor does not run:\n%s", stdout)
	}
}

// From a failing target to the first attempt of the action.
func TestDetectionIsInTime(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	dir := t.TempDir()
	told := filepath.Join(t.TempDir(), "told")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const n = 50
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "[[monitor]]\nname = \"m%d\"\ninterval = 2\nfailures_before_alert = 2\n[monitor.probe]\ntype = \"tcp\"\naddress = %q\n[[monitor.actions]]\nreceiver = \"file\"\n", i, l.Addr())
	}
	fmt.Fprintf(&text, "[[receiver]]\nname = \"file\"\ntype = \"exec\"\ncommand = \"/bin/sh\"\nargs = [\"-c\", \"echo $GOMA_MONITOR $GOMA_EVENT >> %s\"]\n", told)
	testkit.ReplaceFile(t, filepath.Join(dir, "a.toml"), text.String())
	m := startMonitor(t, "--registry", "memory", "-d", dir)
	m.ready(startWithin)
	testkit.Eventually(t, 10*time.Second, "all are told of their start", func() bool { return len(lines(t, told)) == n })
	testkit.Eventually(t, 10*time.Second, "all are OK", func() bool { return m.checks(`{"source": 1, "status": 1}`).Total == n })
	_ = l.Close()
	// interval x failures_before_alert + 1 s
	took := testkit.Eventually(t, 7*time.Second, "all failures are told", func() bool { return len(lines(t, told)) == 2*n })
	t.Logf("the last of %d failures was told after %v", n, took)
	if limit := 5*time.Second + time.Second; took > limit { // a second for the test's own polling on a busy machine
		t.Errorf("it took %v, want at most %v", took, limit)
	}
}

// However many there are: the bounds that keep publishers from flooding the view
// are not for what is defined here.
func TestEveryMonitorIsAHealthCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const n = 250
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "[[monitor]]\nname = \"m%d\"\ninterval = 2\n[monitor.probe]\ntype = \"tcp\"\naddress = \"127.0.0.1:1\"\n", i)
	}
	testkit.ReplaceFile(t, filepath.Join(dir, "a.toml"), text.String())
	m := startMonitor(t, "--registry", "memory", "-d", dir)
	m.ready(startWithin)
	testkit.Eventually(t, 10*time.Second, "all are checks", func() bool { return m.checks(`{"source": 1, "limit": 1}`).Total == n })
	testkit.Eventually(t, 10*time.Second, "so are the nine of its components", func() bool { return m.checks(`{"limit": 1}`).Total == n+9 })
	if health, _, code := m.command("", "", "health"); code != 0 || health != "ok dev\n" {
		t.Errorf("exit %d, %s", code, health)
	}
}

// An incident that is open when the program stops goes on after it: no
// second failure is told, what could not be told is told then, and the recovery
// carries the same id.
// Faults: G36, T45.
func TestIncidentsSurviveAStop(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	refuse := true
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if refuse {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		got = append(got, r.FormValue("event")+" "+r.Header.Get("X-Monitor-Incident"))
	}))
	defer receiver.Close()
	told := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), got...)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	dir := configDir(t, monitorTOML("a", "tcp", fmt.Sprintf("address = %q", address))+
		fmt.Sprintf("[[monitor.actions]]\ntype = \"http\"\nurl_fail = %q\nurl_recover = %q\n", receiver.URL, receiver.URL))
	args := []string{"--registry", "memory", "-d", dir, "--state_dir", filepath.Join(t.TempDir(), "state")}
	m := startMonitor(t, args...)
	m.ready(startWithin)
	testkit.Eventually(t, 5*time.Second, "it fails", func() bool { return m.checks(`{"source": 1, "status": 2}`).Total == 1 })
	m.stopsInOrder(t)
	if n := told(); len(n) != 0 {
		t.Fatalf("told %q although the receiver refused", n)
	}
	mu.Lock()
	refuse = false
	mu.Unlock()
	m = startMonitor(t, args...)
	m.ready(startWithin)
	testkit.Eventually(t, 10*time.Second, "the failure is told", func() bool { return len(told()) == 1 })
	time.Sleep(3 * time.Second) // some more failing probes
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	testkit.Eventually(t, 10*time.Second, "the recovery is told", func() bool { return len(told()) == 2 })
	n := told()
	fail, recovered := strings.Fields(n[0]), strings.Fields(n[1])
	if len(fail) != 2 || len(recovered) != 2 || fail[0] != "fail" || recovered[0] != "recover" || fail[1] != recovered[1] {
		t.Errorf("told %q, want one failure and its recovery", n)
	}
}

// An rpc probe finds its target through a real Consul and calls each node.
func TestRPCProbeThroughConsul(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	c := consultest.Start(t)
	dir := configDir(t, `
[[monitor]]
name = "self"
interval = 1
[monitor.probe]
type = "rpc"
service = "go.micro.srv.monitor"
endpoint = "Monitor.Services"
nodes = "all"
[[monitor]]
name = "nobody"
interval = 1
[monitor.probe]
type = "rpc"
service = "go.micro.srv.nobody"
endpoint = "Nobody.Home"
[[monitor]]
name = "broker"
interval = 1
[monitor.probe]
type = "event"
service = "go.micro.srv.monitor"
check = "go.micro.srv.monitor.broker"
[[monitor]]
name = "heap"
interval = 1
max = 1e12
[monitor.probe]
type = "stats"
service = "go.micro.srv.monitor"
metric = "heap_in_use"
`)
	m := startMonitor(t, "--registry_address", c.Address(), "-d", dir)
	m.ready(startWithin)
	for _, id := range []string{"monitor.self", "monitor.broker", "monitor.heap"} {
		testkit.Eventually(t, 20*time.Second, id+" is OK", func() bool {
			a := m.checks(fmt.Sprintf(`{"id": %q}`, id))
			return a.Total == 1 && a.HealthChecks[0].Status == 1
		})
	}
	a := m.checks(`{"id": "monitor.nobody"}`)
	if a.Total != 1 || a.HealthChecks[0].Status != 2 || a.HealthChecks[0].Error == "" {
		t.Errorf("a service that is not there: %+v", a)
	}
	m.stopsInOrder(t)
}
