package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
)

// The whole program, go-micro and net/http included, is built with a package time
// whose wall clock is off by what a file says. The monotonic clock and all timers
// are untouched, as they are when somebody sets the clock of a machine.
const faultyClock = `package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

func init() {
	read := func() {
		text, _ := os.ReadFile(os.Getenv("FAULT_CLOCK"))
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			time.FaultWallOffset = n
		}
	}
	read()
	go func() {
		for ; ; time.Sleep(20 * time.Millisecond) {
			read()
		}
	}()
}
`

// faulty builds that program, once.
var faulty = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp(buildDir, "clock-")
	if err != nil {
		return "", err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	const reads = "sec, nsec, mono := runtimeNow()\n"
	patched := strings.Replace(string(text), reads, reads+"\tsec += FaultWallOffset\n", 1)
	if patched == string(text) {
		return "", fmt.Errorf("%s reads the clock in another way than this test knows", source)
	}
	patched += "\n// FaultWallOffset is added to the wall clock, in seconds.\nvar FaultWallOffset int64\n"
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for original, text := range map[string]string{source: patched, filepath.Join(here, "faulty_clock.go"): faultyClock} {
		file := filepath.Join(dir, filepath.Base(original))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[original] = file
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
	}
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "monitor-srv")
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building with a faulty clock: %w\n%s", err, out)
	}
	return binary, nil
})

// faultyProgram makes the test parallel and returns the program.
func faultyProgram(t *testing.T) string {
	t.Helper()
	testkit.SkipIfShort(t) // it builds Go's standard library with a faulty clock
	t.Parallel()
	program, err := faulty()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// inAnotherBoot returns the words of a command line that run a program as after another
// boot of the system, 100,000 seconds ago.
func inAnotherBoot(t *testing.T) []string {
	t.Helper()
	testkit.SkipUnlessRoot(t, "make a namespace of times")
	const id = "/proc/sys/kernel/random/boot_id"
	other := testkit.NewFile(t, "boot_id", "00000000-0000-4000-8000-000000000000\n")
	words := []string{"unshare", "--time", "--mount", "--boottime", "100000", "sh", "-c", `mount --bind "$1" "$2" && shift 2 && exec "$@"`, "sh", other, id}
	if out, err := exec.Command(words[0], append(words[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, NOT PROVEN: namespaces of times and mounts are not allowed here: %v\n%s", err, out)
	}
	return words
}

// Whatever the wall clock does, probes run when they are due, no entry ages,
// and nothing is told to anybody.
// Faults: T16.
func TestWallClockJumpsDisturbNoInstance(t *testing.T) {
	program := faultyProgram(t)
	m := &subject{http: testkit.FreeAddress(t)}
	dir, told := t.TempDir(), filepath.Join(t.TempDir(), "told")
	offset := filepath.Join(t.TempDir(), "offset")
	testkit.ReplaceFile(t, filepath.Join(dir, "self.toml"), monitorTOML("port", "tcp", fmt.Sprintf("address = %q", m.http))+
		shellAction("echo $GOMA_EVENT >> "+told)+
		strings.Replace(monitorTOML("stats", "stats", fmt.Sprintf("service = %q\nmetric = \"heap_in_use\"", srv)), "\n[monitor.probe]", "\nmax = 1e12\n[monitor.probe]", 1))
	c := consultest.Start(t)
	m.process = start(t, []string{"FAULT_CLOCK=" + offset}, program,
		"--http_address", m.http, "--server_address", "127.0.0.1:0", "-d", dir, "--registry_address", c.Address())
	m.ready(ample)
	startSample(t, c, m)
	testkit.Eventually(t, ample, "stats of its own are seen", func() bool { return len(failing(t, m)) == 0 })

	const hour, year = 3600, 365 * 24 * 3600
	jumps := []int{hour, -hour, year, -year}
	for i := range 20 {
		jumps = append(jumps, 600*(1-2*(i%2)))
	}
	before, began := monitorsOf(t, m), time.Now()
	for _, jump := range append(jumps, 0) {
		testkit.ReplaceFile(t, offset, fmt.Sprint(jump))
		time.Sleep(time.Second) // of the monotonic clock, which the program goes by
	}
	// Set back for good, it must not make what comes look like old news.
	testkit.ReplaceFile(t, offset, fmt.Sprint(-hour))
	time.Sleep(sampleInterval + sampleGrace + 3*time.Second)
	expected := time.Since(began).Seconds()
	for name, now := range monitorsOf(t, m) {
		if ran := float64(now.Probes - before[name].Probes); ran < expected-2 || ran > expected+2 {
			t.Errorf("%v probes of %s in %.1fs at interval 1s", ran, name, expected)
		}
		if n := now.Failures - before[name].Failures; n != 0 {
			t.Errorf("%d probes of %s failed, the last with %q", n, name, now.Error)
		}
	}
	if h := m.historyOf(srv); len(h) < 6 {
		t.Errorf("the instance says of itself %+v", h)
	}
	for _, tr := range append(m.history(), m.historyOf(srv)...) {
		first := tr.From == tr.To // the first report, before anything was known
		if !first && tr.To == "UNKNOWN" || tr.To == "MISSING" || tr.To == "FORGOTTEN" {
			t.Errorf("a jump of the clock made %+v", tr)
		}
	}
	if got := m.checks(`{"service": "go-server"}`).Total; got != 2 {
		t.Errorf("%d checks of the sample are listed, want 2", got)
	}
	for _, hc := range m.checks(`{"service": "` + srv + `"}`).HealthChecks {
		if hc.Status != 1 || hc.Missing {
			t.Errorf("of itself the instance says %+v", hc)
		}
	}
	if got := lines(t, told); len(got) != 1 || got[0] != "init" {
		t.Errorf("told %q, want init only", got)
	}
	if !isPassing(c, srv) {
		t.Error("Consul lost the instance")
	}
	m.stopsInOrder(t)
}

// Faults: S14.
func TestJumpByCenturiesStopsNoMonitor(t *testing.T) {
	program := faultyProgram(t)
	const centuries = 200 * 365 * 24 * 3600
	for name, first := range map[string]int{"and back": 0, "and back, from the start": centuries} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			offset := testkit.NewFile(t, "offset", fmt.Sprint(first))
			m := &subject{http: testkit.FreeAddress(t)}
			c, w := consultest.Start(t), newWorld(t)
			w.refuse = true // notifications are pending over all jumps
			dir := configDir(t, monitorTOML("port", "tcp", fmt.Sprintf("address = %q", m.http))+monitorTOML("refused", "tcp", `address = "127.0.0.1:1"`)+
				fmt.Sprintf("[[monitor.actions]]\ntype = \"http\"\nurl_fail = %q\n", w.url+"/told"))
			m.process = start(t, []string{"FAULT_CLOCK=" + offset}, program,
				"--http_address", m.http, "--server_address", "127.0.0.1:0", "-d", dir,
				"--registry_address", c.Address(), "--register_ttl", "5", "--register_interval", "2")
			m.ready(ample)
			for _, jump := range []int{centuries, 0, centuries, 0} {
				testkit.ReplaceFile(t, offset, fmt.Sprint(jump))
				time.Sleep(time.Second)
				before := monitorsOf(t, m)
				testkit.Eventually(t, ample, "probes go on", func() bool {
					now := monitorsOf(t, m)
					return now["port"].Probes > before["port"].Probes+1 && now["refused"].Probes > before["refused"].Probes+1
				})
			}
			w.mu.Lock()
			w.refuse = false
			w.mu.Unlock()
			testkit.Eventually(t, 2*ample, "the pending failure is notified", func() bool {
				told := w.tellings()
				return len(told) > 0 && told[0].monitor == "refused" && told[0].event == "fail"
			})
			time.Sleep(8 * time.Second) // longer than the ttl of the registration
			if !isPassing(c, srv) {
				t.Error("Consul lost the instance")
			}
			if now := monitorsOf(t, m); now["port"].Failures != 0 {
				t.Errorf("after the jumps: %+v", now["port"])
			}
			m.stopsInOrder(t)
		})
	}
}

// monitored is what the test wants to know of a monitor.
type monitored struct {
	Name     string `json:"name"`
	State    int    `json:"state"`
	Probes   int64  `json:"probes"`
	Failures int64  `json:"failures"`
	Error    string `json:"error"`
}

func monitorsOf(t *testing.T, m *subject) map[string]monitored {
	t.Helper()
	var a struct {
		Monitors []monitored `json:"monitors"`
	}
	if err := m.call("Monitor.Monitors", "{}", &a); err != nil || len(a.Monitors) == 0 {
		t.Fatalf("Monitor.Monitors: %+v, %v", a, err)
	}
	byName := map[string]monitored{}
	for _, one := range a.Monitors {
		byName[one.Name] = one
	}
	return byName
}

// probesOf asks how often a monitor was probed.
func probesOf(t *testing.T, m *subject, name string) int64 {
	t.Helper()
	return monitorsOf(t, m)[name].Probes
}

// failing returns the monitors that are not OK.
func failing(t *testing.T, m *subject) []string {
	t.Helper()
	var names []string
	for name, one := range monitorsOf(t, m) {
		if one.State != 1 {
			names = append(names, name)
		}
	}
	return names
}
