package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/command"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// sleeper is a word that is an argument of processes of one test only.
func sleeper(n int) string { return fmt.Sprintf("1000.%07d%d", os.Getpid(), n) }

// guardians returns the guardian processes of an instance.
func (m *subject) guardians() []int {
	return testkit.ChildrenWithLastArg(m.cmd.Process.Pid, command.GuardianWord)
}

// startClinging starts an instance with 50 exec probes, of which 16 run at once,
// and an exec action, all of which start sleeps, and waits for these.
func startClinging(t *testing.T, word string) *subject {
	t.Helper()
	var text strings.Builder
	for i := range 50 {
		fmt.Fprintf(&text, "[[monitor]]\nname = \"m%d\"\ninterval = 600\n[monitor.probe]\ntype = \"exec\"\ncommand = \"/bin/sh\"\nargs = [\"-c\", '''%s''']\n", i, testkit.StubbornSleeps(word))
	}
	fmt.Fprintf(&text, "[[monitor.actions]]\ntype = \"exec\"\ncommand = \"/bin/sh\"\nargs = [\"-c\", '''%s''']\ntimeout = 600\n", testkit.StubbornSleeps(word))
	dir := configDir(t, text.String())
	t.Cleanup(func() {
		pids, _ := testkit.ProcessesWithArg(t, word)
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	m := startMonitor(t, "--registry=memory", "--config_dir", dir)
	testkit.Eventually(t, time.Minute, "16 probes and an action run", func() bool {
		_, sleeps := testkit.ProcessesWithArg(t, word)
		return sleeps == 17*testkit.NumStubbornSleeps
	})
	return m
}

// Faults: T34.
func TestExecProbesDieWithinASecondOfAKill(t *testing.T) {
	t.Parallel()
	var took time.Duration
	for try := range 3 { // on a busy machine one time says little
		word := sleeper(try)
		m := startClinging(t, word)
		if n := len(m.guardians()); n != 1 {
			t.Errorf("there are %d guardians, want 1", n)
		}
		began := time.Now()
		m.signal(syscall.SIGKILL)
		testkit.Eventually(t, 10*time.Second, "nothing is left", func() bool { pids, _ := testkit.ProcessesWithArg(t, word); return len(pids) == 0 })
		if took = time.Since(began); took <= time.Second {
			t.Logf("nothing is left after %v", took)
			return
		}
	}
	t.Errorf("something was left for %v, want at most 1 s", took)
}

// Faults: T34.
func TestOrderlyStopEndsProgramsAndGuardian(t *testing.T) {
	t.Parallel()
	word := sleeper(10)
	m := startClinging(t, word)
	guardians := m.guardians()
	if took, err := m.terminate(); err != nil || took > 10*time.Second {
		t.Errorf("it ended after %v: %v", took, err)
	}
	pids, sleeps := testkit.ProcessesWithArg(t, word)
	if len(pids) != 0 {
		t.Errorf("%d processes are left, %d of them sleep", len(pids), sleeps)
	}
	if len(guardians) != 1 {
		t.Errorf("there were guardians %v, want 1", guardians)
	}
	for _, pid := range guardians {
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("the guardian %d lives on", pid)
		}
	}
}

// leavingTOML are monitors whose programs leave daemons behind and end in time, one
// without its environment.
func leavingTOML(word string) string {
	var text strings.Builder
	for i, script := range []string{
		"setsid sleep %s </dev/null >/dev/null 2>&1 & sleep 0.3; exit 0",
		"env -i setsid -f sleep %s </dev/null >/dev/null 2>&1; sleep 0.3; exit 1",
	} {
		text.WriteString(monitorTOML(fmt.Sprint("leaves ", i), "exec", fmt.Sprintf("command = \"/bin/sh\"\nargs = [\"-c\", %q]\n", fmt.Sprintf(script, word))))
	}
	return text.String()
}

// Faults: S1.
func TestNothingOutlivesAnExecProbeThatEndsInTime(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		name string
		end  func(*subject)
	}{
		{"SIGTERM", func(m *subject) { _, _ = m.terminate() }},
		{"SIGKILL", func(m *subject) { m.signal(syscall.SIGKILL) }},
		{"SIGKILL beside a stopped guardian", func(m *subject) {
			for _, pid := range m.guardians() {
				_ = syscall.Kill(pid, syscall.SIGSTOP)
			}
			m.signal(syscall.SIGKILL)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name != "SIGKILL" {
				testkit.SkipIfShort(t)
			}
			word := sleeper(20 + i)
			m := startMonitor(t, "--registry=memory", "--config_dir", configDir(t, leavingTOML(word)))
			sleeps := func() int { pids, _ := testkit.ProcessesWithArg(t, word); return len(pids) }
			for range 3 {
				testkit.Eventually(t, time.Minute, "a probe runs", func() bool { return sleeps() > 0 })
				testkit.Eventually(t, time.Minute, "nothing is left between probes", func() bool { return sleeps() == 0 })
			}
			testkit.Eventually(t, time.Minute, "a probe runs", func() bool { return sleeps() > 0 })
			c.end(m)
			testkit.Eventually(t, 10*time.Second, "nothing is left", func() bool { return sleeps() == 0 })
		})
	}
	t.Run("probe FILE", func(t *testing.T) {
		word := sleeper(30)
		out, err := exec.Command(binary(t, "monitor-srv"), "probe", testkit.NewFile(t, "a.toml", leavingTOML(word))).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "2 monitors probed, 1 failed") {
			t.Errorf("%v: %s", err, out)
		}
		if pids, _ := testkit.ProcessesWithArg(t, word); len(pids) != 0 {
			t.Errorf("processes %v are left", pids)
		}
	})
}

// Faults: T34.
func TestNoGuardianRunsWithoutCommands(t *testing.T) {
	t.Parallel()
	dir := configDir(t, "[[monitor]]\nname = \"a\"\ninterval = 1\nmin = 0\nmax = 1\n[monitor.probe]\ntype = \"tcp\"\naddress = \"127.0.0.1:9\"\n")
	m := startMonitor(t, "--registry=memory", "--config_dir", dir)
	testkit.Eventually(t, 30*time.Second, "the monitor is probed", func() bool { return m.checks(`{"source": 1}`).Total > 0 })
	if pids := m.guardians(); len(pids) != 0 {
		t.Errorf("there is a guardian: %v", pids)
	}
	out, _, code := m.command("", "", "help")
	if code != 0 || strings.Contains(out, command.GuardianWord) {
		t.Errorf("the help has code %d and tells of the guardian: %s", code, out)
	}
}
