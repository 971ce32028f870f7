package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// guardedSh returns the spec of a shell script with a Guardian.
func guardedSh(g *Guardian, script string, env ...string) Spec {
	spec := sh(script, env...)
	spec.Guardian = g
	return spec
}

// zombies returns the children of this process that nobody has waited for.
func zombies(t *testing.T) (pids []int) {
	t.Helper()
	for _, pid := range testkit.Children(os.Getpid()) {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if bytes.Contains(stat, []byte(") Z ")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// noneOf fails the test if processes with word in their arguments live, and kills them.
func noneOf(t *testing.T, word string) {
	t.Helper()
	pids, _ := testkit.ProcessesWithArg(t, word)
	for _, pid := range pids {
		t.Errorf("process %d lives on", pid)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// leavers are scripts that leave a process N behind and end. The last ones clear its
// environment, too.
var leavers = []string{
	"sleep N >/dev/null 2>&1 & exit 0",
	"setsid sleep N </dev/null >/dev/null 2>&1 & sleep 0.05; exit 0",
	"setsid sleep N & sleep 0.05",
	"(setsid sh -c '(setsid sleep N &) ; sleep N' >/dev/null 2>&1 &) ; sleep 0.05; exit 3",
	"nohup setsid sh -c \"trap '' TERM HUP INT; sleep N; sleep N\" >/dev/null 2>&1 & sleep 0.05; kill -9 $$",
	"set -m; sleep N & sleep 0.05",
	"prlimit --locks=5: setsid -f sleep N >/dev/null 2>&1; sleep 0.05",
	"setsid sh -c 'kill -STOP $$; : N' >/dev/null 2>&1 & sleep 0.05",
	"setsid sh -c 'i=0; while [ $i -lt 40 ]; do setsid sleep N & i=$((i+1)); done' >/dev/null 2>&1 & sleep 0.02",
	"setsid sh -c 'while :; do (sleep 0.01; : N) & sleep 0.001; done' >/dev/null 2>&1 & sleep 0.05",
}

var forgetfulLeavers = []string{
	"env -i setsid sleep N </dev/null >/dev/null 2>&1 & sleep 0.05; exit 0",
	"exec env -i setsid -f sleep N >/dev/null 2>&1",
	"unset MONITOR_RUN; (setsid sh -c 'env -i setsid -f sleep N; exec env - sleep N' >/dev/null 2>&1 &); sleep 0.05",
	"MONITOR_RUN=0123456789abcdef setsid -f sleep N >/dev/null 2>&1",
	"env -i setsid sh -c 'while :; do (sleep 0.01; : N) & sleep 0.001; done' >/dev/null 2>&1 & sleep 0.05",
}

// Faults: S1.
func TestNothingOutlivesACommandThatEndsInTime(t *testing.T) {
	guardian := runGuardian(t)
	for _, c := range []struct {
		name     string
		guardian *Guardian
		scripts  []string
	}{
		{"guarded", guardian, append(append([]string{}, leavers...), forgetfulLeavers...)},
		{"alone", nil, leavers},
	} {
		for i, script := range c.scripts {
			t.Run(fmt.Sprint(c.name, " ", i), func(t *testing.T) {
				w := word()
				begin := time.Now()
				out, err := Run(t.Context(), guardedSh(c.guardian, strings.ReplaceAll(script, "N", w)))
				var exit *ExitError
				if err != nil && !errors.As(err, &exit) {
					t.Error(err)
				}
				if out.Unkillable { // a busy machine needs longer
					testkit.Eventually(t, 10*time.Second, "nothing is left", func() bool { pids, _ := testkit.ProcessesWithArg(t, w); return len(pids) == 0 })
				}
				if took := time.Since(begin); took > 10*time.Second {
					t.Errorf("took %v", took)
				}
				noneOf(t, w)
				if c.guardian != nil && !testkit.Within(5*time.Second, func() bool { return len(zombies(t)) == 0 }) {
					t.Errorf("zombies %v", zombies(t))
				}
			})
		}
	}
}

// Faults: S1.
func TestThousandDaemonsOfProbesAreGone(t *testing.T) {
	g, w := runGuardian(t), word()
	testkit.Go(8, func(int) {
		for range testkit.Fewer(125, 15) {
			if _, err := Run(t.Context(), guardedSh(g, "setsid -f sleep "+w+" </dev/null >/dev/null 2>&1")); err != nil {
				t.Error(err)
				return
			}
		}
	})()
	noneOf(t, w)
	if !testkit.Within(2*time.Second, func() bool { return len(zombies(t)) == 0 }) {
		t.Errorf("zombies %v", zombies(t))
	}
}

// What a run leaves is told from what another one has, which still runs.
// Faults: S1.
func TestEndOfARunLeavesOtherRunsAlone(t *testing.T) {
	g, w := runGuardian(t), word()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := Run(ctx, guardedSh(g, "(setsid sleep "+w+" &); (env -i setsid sleep "+w+" &); sleep 100"))
		done <- err
	}()
	running := func() bool { _, n := testkit.ProcessesWithArg(t, w); return n == 2 }
	if !testkit.Within(20*time.Second, running) {
		t.Error("its daemons do not run")
	}
	for range 20 {
		if _, err := Run(t.Context(), guardedSh(g, "setsid sleep 100 >/dev/null 2>&1 & sleep 0.01")); err != nil {
			t.Error(err)
		}
	}
	if !running() {
		t.Error("its daemons are gone")
	}
	cancel()
	<-done
	noneOf(t, w)
}

// Faults: S1.
func TestDaemonOfAnActionLivesAndLeavesNoZombie(t *testing.T) {
	g, w := runGuardian(t), word()
	action := guardedSh(g, "(setsid sleep "+w+" >/dev/null 2>&1 &); sleep "+w+" >/dev/null 2>&1 & sleep 0.05")
	action.Background = true
	if _, err := Run(t.Context(), action); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := Run(t.Context(), guardedSh(g, "setsid sleep 100 >/dev/null 2>&1 & sleep 0.01")); err != nil {
			t.Error(err)
		}
	}
	pids, sleeps := testkit.ProcessesWithArg(t, w)
	if sleeps != 2 {
		t.Errorf("%d of its processes live, want 2", sleeps)
	}
	testkit.Kill(pids)
	if !testkit.Within(10*time.Second, func() bool { return len(zombies(t)) == 0 }) {
		t.Errorf("zombies %v", zombies(t))
	}
}

// Faults: S1.
func TestReaperTakesNoStatusOfAProgram(t *testing.T) {
	starts := testkit.Fewer(10_000, 400)
	for name, listed := range map[string]bool{"children": true, "all processes": false} {
		t.Run(name, func(t *testing.T) { raceReaper(t, listed, starts) })
	}
}

// raceReaper starts programs and waits for them while orphans are reaped all the time.
func raceReaper(t *testing.T, listed bool, starts int) {
	f := newFamily()
	if listed {
		if err := f.adopt(); err != nil {
			t.Fatal(err)
		}
		defer f.adopted.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := testkit.Go(1, func(int) {
		for ctx.Err() == nil {
			f.reap()
		}
	})
	programs := []string{"/bin/true", "/bin/false"}
	testkit.Go(8, func(lane int) {
		for i := range starts / 8 {
			code := (lane + i) % 2
			program := &exec.Cmd{Path: programs[code], SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}
			if err := f.start(ctx, program, newMark()); err != nil {
				t.Error(err)
				return
			}
			err := f.wait(program)
			if program.ProcessState == nil || program.ProcessState.ExitCode() != code {
				t.Errorf("%s ended with %v", program.Path, err)
				return
			}
		}
	})()
	cancel()
	stopped()
}

// A child of other code in this process is no orphan. All processes are looked at,
// because few children are those of the first thread.
func TestReaperLeavesChildrenOfOtherCodeAlone(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitExit(cmd.Process.Pid)
	newFamily().reap()
	if err := cmd.Wait(); err != nil {
		t.Errorf("its status is lost: %v", err)
	}
}

// A program on a disk that hangs holds up the start of others, and no more.
func TestStartThatHangsEndsAtTheDeadline(t *testing.T) {
	g := runGuardian(t)
	if _, err := Run(t.Context(), guardedSh(g, "true")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ran")
	g.family.starting <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := Run(ctx, guardedSh(g, "touch "+file))
	if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took > 10*time.Second {
		t.Errorf("got %v after %v", err, took)
	}
	// Nobody waits on, as one more thread for each probe.
	late := exec.Command("/bin/true")
	startLate := func() {
		if err := g.family.start(ctx, late, newMark()); !errors.Is(err, context.DeadlineExceeded) || late.Process != nil {
			t.Errorf("got %v, and it was started: %v", err, late.Process != nil)
		}
	}
	startLate()
	<-g.family.starting
	if _, err := Run(t.Context(), guardedSh(g, "true")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("it ran after its deadline")
	}
	startLate()
}

func TestReaperDoesNotWaitForAStartThatHangs(t *testing.T) {
	f := newFamily()
	f.starting <- struct{}{}
	f.reap()
}

func TestOwnLimitReturnsAfterEachStart(t *testing.T) {
	g := runGuardian(t)
	before, err := markLimitOf(0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Run(t.Context(), guardedSh(g, "grep locks /proc/self/limits; echo $MONITOR_RUN"))
	if err != nil {
		t.Fatal(err)
	}
	var soft uint64
	var m string
	if _, err := fmt.Sscanf(string(out.Stdout), "Max file locks %d unlimited locks\n%s", &soft, &m); err != nil || mark(soft).String() != m {
		t.Errorf("the program has %q, want its mark twice", out.Stdout)
	}
	if after, err := markLimitOf(0); err != nil || after != before {
		t.Errorf("this process has %v, %v, before %v", after, err, before)
	}
}

// Without a list of children, as on kernels that do not make one, all processes are
// searched.
// Faults: S1.
func TestOrphansAreFoundWithoutAListOfChildren(t *testing.T) {
	g, w := runGuardian(t), word()
	if _, err := Run(t.Context(), guardedSh(g, "true")); err != nil {
		t.Fatal(err)
	}
	g.family.mu.Lock()
	_ = g.family.adopted.Close()
	g.family.adopted = nil
	g.family.mu.Unlock()
	for _, script := range forgetfulLeavers {
		_, _ = Run(t.Context(), guardedSh(g, strings.ReplaceAll(script, "N", w)))
		noneOf(t, w)
	}
	if !testkit.Within(5*time.Second, func() bool { return len(zombies(t)) == 0 }) {
		t.Errorf("zombies %v", zombies(t))
	}
}

// TestSlotIsHeldUntilNothingIsLeft leaves what nobody can end for now: a zombie with the
// mark, whose parent has none and does not wait for it.
// Faults: S1.
func TestSlotIsHeldUntilNothingIsLeft(t *testing.T) {
	m := newMark()
	parent := exec.Command("/bin/sh", "-c", fmt.Sprintf("prlimit --locks=%d: true & exec sleep 100", m))
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	g := selfGuardian(nil)
	if err := g.table.open(); err != nil {
		t.Fatal(err)
	}
	defer g.table.close()
	r := &run{spec: Spec{Guardian: g}, mark: m, family: newFamily()}
	testkit.Eventually(t, 10*time.Second, "something is left", func() bool { return r.family.end(m, time.Now()) })
	slot := g.table.take(m.String())
	over := make(chan struct{})
	go func() { r.outlive(slot); close(over) }()
	select {
	case <-over:
		t.Error("the slot is free while something is left")
	case <-time.After(100 * time.Millisecond):
	}
	if err := errors.Join(parent.Process.Kill(), parent.Wait()); err == nil {
		t.Error("the parent has ended before")
	}
	select {
	case <-over:
	case <-time.After(10 * time.Second):
		t.Error("the slot is not free")
	}
	if c, err := readTable(g.table.file); err != nil || len(c.keys) > 0 {
		t.Errorf("the table holds %v, %v", c.keys, err)
	}
}

// Faults: S1, T34.
func TestStoppedGuardianKillsAfterAKill(t *testing.T) {
	w := word()
	cmd := startGuarded(t, w, testkit.NumStubbornSleeps, "TEST_RUNS=1", "TEST_SCRIPT="+testkit.StubbornSleeps(w))
	if err := syscall.Kill(ownGuardian(cmd.Process.Pid), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	if !testkit.Within(10*time.Second, func() bool { pids, _ := testkit.ProcessesWithArg(t, w); return len(pids) == 0 }) {
		noneOf(t, w)
	}
}

// Faults: S1, T34.
func TestGuardianFindsProcessesWithoutTheirEnvironment(t *testing.T) {
	w := word()
	cmd := startGuarded(t, w, 2, "TEST_RUNS=1", "TEST_SCRIPT=(env -i setsid sleep "+w+" &); env -i setsid sleep "+w+" & wait; sleep 100")
	_ = cmd.Process.Kill()
	if !testkit.Within(10*time.Second, func() bool { pids, _ := testkit.ProcessesWithArg(t, w); return len(pids) == 0 }) {
		noneOf(t, w)
	}
}

// Somebody who kills the guardian again and again leaves gaps of milliseconds.
// Faults: S1, T34.
func TestKilledGuardianIsReplacedAtOnce(t *testing.T) {
	w := word()
	cmd := startGuarded(t, w, testkit.NumStubbornSleeps, "TEST_RUNS=1", "TEST_SCRIPT="+testkit.StubbornSleeps(w))
	begin := time.Now()
	for last := range 10 {
		guard := 0
		if !testkit.Within(20*time.Second, func() bool { guard = ownGuardian(cmd.Process.Pid); return guard != 0 }) {
			t.Fatal("there is no guardian")
		}
		if last < 9 {
			_ = syscall.Kill(guard, syscall.SIGKILL)
			if !testkit.Within(20*time.Second, func() bool { return !alive(guard) }) {
				t.Fatal("it lives on")
			}
		}
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("nine deaths took %v, as if the pauses doubled", took)
	}
	_ = cmd.Process.Kill()
	if !testkit.Within(10*time.Second, func() bool { pids, _ := testkit.ProcessesWithArg(t, w); return len(pids) == 0 }) {
		noneOf(t, w)
	}
}
