package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/cli"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
)

// execMonitor is a file with one exec probe of a shell script. interval and timeout
// are in seconds.
func execMonitor(name, script string, interval, timeout float64) string {
	return fmt.Sprintf("[[monitor]]\nname = %q\ninterval = %g\ntimeout = %g\n[monitor.probe]\ntype = \"exec\"\ncommand = \"/bin/bash\"\nargs = [\"-c\", '''%s''']\n",
		name, interval, timeout, script)
}

// killAll kills what has a word among its arguments once the test has ended.
func killAll(t *testing.T, word string) {
	t.Cleanup(func() {
		pids, _ := testkit.ProcessesWithArg(t, word)
		testkit.Kill(pids)
	})
}

// A probe that is killed at its deadline, each time, by SIGKILL, runs again when it
// is due: that it takes a second longer than its timeout delays no run.
// Faults: T30.
func TestRunAfterAKilledOneIsOnSchedule(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	word, dir := sleeper(20), t.TempDir()
	killAll(t, word)
	starts := filepath.Join(dir, "starts")
	testkit.ReplaceFile(t, filepath.Join(dir, "a.toml"), execMonitor("hangs", "trap '' TERM\ndate +%s.%N >> "+starts+"\n"+testkit.StubbornSleeps(word), 3, 0.5))
	startMonitor(t, "--registry=memory", "--config_dir", dir)
	const runs = 5
	testkit.Eventually(t, time.Minute, "it ran 5 times", func() bool { return len(lines(t, starts)) >= runs && lines(t, starts)[0] != "" })
	var gaps []float64
	began := lines(t, starts)[:runs]
	for i := range began[1:] {
		a, err := strconv.ParseFloat(began[i], 64)
		b, err2 := strconv.ParseFloat(began[i+1], 64)
		if err != nil || err2 != nil {
			t.Fatalf("got times %q", began)
		}
		gaps = append(gaps, b-a)
	}
	// One of them may have come late on a busy machine, and then the next is short.
	slices.Sort(gaps)
	if median := (gaps[1] + gaps[2]) / 2; median < 2.8 || median > 3.2 {
		t.Errorf("it ran every %.2f s, want every 3 s", gaps)
	}
}

// TestServiceAnswersDuringAForkBomb runs one as a user of its own with a limit of
// processes, which needs root.
// Faults: T32, I2.
func TestServiceAnswersDuringAForkBomb(t *testing.T) {
	testkit.SkipUnlessRoot(t, "run a fork bomb as another user")
	testkit.SkipIfShort(t)
	word, dir := sleeper(30), t.TempDir()
	killAll(t, word)
	const timeout = 3
	// Where it may not fork, bash tries again instead of giving up.
	testkit.ReplaceFile(t, filepath.Join(dir, "a.toml"), execMonitor("bomb",
		"prlimit --nproc=64:64 setpriv --reuid 54322 --clear-groups bash -c 'bomb() { bomb | bomb & }; bomb; wait # "+word+"' 2>/dev/null; sleep "+word, 8, timeout))
	m := startMonitor(t, "--registry=memory", "--config_dir", dir)
	var p99, gone time.Duration
	for range 3 { // on a busy machine one time says little
		testkit.Eventually(t, time.Minute, "the bomb is large", func() bool { pids, _ := testkit.ProcessesWithArg(t, word); return len(pids) >= 40 })
		var took []time.Duration
		for large, left := time.Now(), 1; left > 0; {
			asked := time.Now()
			if code, _ := m.ask("/healthz"); code != http.StatusOK {
				t.Errorf("/healthz answers %d", code)
			}
			took = append(took, time.Since(asked))
			pids, _ := testkit.ProcessesWithArg(t, word)
			left, gone = len(pids), time.Since(large)
		}
		slices.Sort(took)
		p99 = took[len(took)*99/100]
		t.Logf("the bomb was gone after %v; p99 of %d answers meanwhile is %v", gone, len(took), p99)
		if p99 <= 500*time.Millisecond && gone <= (timeout+2)*time.Second {
			return
		}
	}
	t.Errorf("p99 is %v, want at most 500 ms; the bomb is gone after %v, want at most 2 s more than its %d s", p99, gone, timeout)
}

// A running instance is found through a real Consul, and asked.
func TestTriedProbesAskARunningInstance(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	c := consultest.Start(t)
	m := startMonitor(t, "--registry_address", c.Address(), "-d", t.TempDir())
	m.ready(startWithin)
	var stdout, stderr string
	testkit.Eventually(t, 20*time.Second, "all are well", func() bool {
		var code int
		stdout, stderr, code = monitorSrv(t, testkit.AskingMonitors("5s"), "--registry_address", c.Address(), "probe", "-")
		return code == cli.ExitOK
	})
	for _, want := range []string{`OK, published by "` + m.node(), "heap_in_use ", "of 1 nodes", "1 of 1 calls answered"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("nothing says %q\n%s%s", want, stdout, stderr)
		}
	}
	nothing := strings.ReplaceAll(testkit.AskingMonitors("5s"), "go.micro.srv.monitor.broker", "go.micro.srv.monitor.brokr")
	stdout, _, code := monitorSrv(t, nothing, "--registry_address", c.Address(), "probe", "-", "e")
	if code != cli.ExitFailed || !strings.Contains(stdout, "never published") {
		t.Errorf("a check that nobody publishes: exit %d\n%s", code, stdout)
	}
}

// node returns the id of the instance's node in the registry.
func (m *subject) node() string {
	m.t.Helper()
	_, report := m.ask("/healthz")
	return report.Instance
}
