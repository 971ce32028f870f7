package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// guardianWord makes the test binary a guardian process. It gets no variables.
const guardianWord = "guardian"

func guardian() int {
	if err := Guard(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func selfGuardian(log *slog.Logger) *Guardian {
	return NewGuardian(GuardianConfig{Path: "/proc/self/exe", Args: []string{guardianWord}, Log: log})
}

// runGuardian returns a Guardian that runs until the end of the test.
func runGuardian(tb testing.TB) *Guardian {
	tb.Helper()
	g := selfGuardian(nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- g.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return g
}

// guarded runs commands with a Guardian until it is killed: first the scripts in
// TEST_BACKGROUND, each to its end, then TEST_SCRIPT for TEST_RUNS times.
func guarded() {
	ctx := context.Background()
	g := selfGuardian(testkit.InfoTo(os.Stderr))
	go g.Run(ctx)
	if script := os.Getenv("TEST_BACKGROUND"); script != "" {
		spec := sh(script)
		spec.Background, spec.Guardian = true, g
		if _, err := Run(ctx, spec); err != nil {
			panic(err)
		}
	}
	var runs int
	_, _ = fmt.Sscan(os.Getenv("TEST_RUNS"), &runs)
	for range runs {
		go func() {
			spec := sh(os.Getenv("TEST_SCRIPT"))
			spec.Guardian = g
			out, err := Run(ctx, spec)
			fmt.Fprintln(os.Stderr, "ended:", string(out.Stderr), err)
			os.Exit(1)
		}()
	}
	select {}
}

// word returns an argument of sleep that no other process has.
func word() string { return fmt.Sprintf("1000.%07d%03d", os.Getpid(), serial.Add(1)) }

// ownGuardian returns the guardian process of a process, or 0.
func ownGuardian(pid int) int {
	for _, child := range testkit.ChildrenWithLastArg(pid, guardianWord) {
		return child
	}
	return 0
}

// startGuarded starts a process that runs commands with a Guardian, and waits for the
// expected number of sleeps.
func startGuarded(t *testing.T, word string, sleeps int, env ...string) *exec.Cmd {
	t.Helper()
	cmd := self(t, "guarded", env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("it wrote: %s", said.Bytes())
		}
		pids, _ := testkit.ProcessesWithArg(t, word)
		testkit.Kill(pids)
		// A test before may have made this process adopt its guardian.
		if !testkit.Within(20*time.Second, func() bool { newFamily().reap(); return children(t) == 0 }) {
			t.Errorf("%d children are left", children(t))
		}
	})
	if !testkit.Within(30*time.Second, func() bool { _, n := testkit.ProcessesWithArg(t, word); return n == sleeps }) {
		_, n := testkit.ProcessesWithArg(t, word)
		t.Fatalf("%d of %d processes run", n, sleeps)
	}
	return cmd
}

// Faults: T34.
func TestProcessesStartedByCommandsDieWithTheService(t *testing.T) {
	var took time.Duration
	for range 3 { // on a busy machine one time says little
		w := word()
		cmd := startGuarded(t, w, 50*testkit.NumStubbornSleeps, "TEST_RUNS=50", "TEST_SCRIPT="+testkit.StubbornSleeps(w))
		begin := time.Now()
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		gone := func() bool { pids, _ := testkit.ProcessesWithArg(t, w); return len(pids) == 0 }
		if !testkit.Within(10*time.Second, gone) {
			pids, sleeps := testkit.ProcessesWithArg(t, w)
			t.Fatalf("%d processes live on, of which %d sleep", len(pids), sleeps)
		}
		if took = time.Since(begin); took <= time.Second {
			t.Logf("after %v nothing is left", took)
			return
		}
	}
	t.Errorf("nothing was left only after %v, want at most 1 s", took)
}

// Faults: T34.
func TestUnrelatedProcessesSurvive(t *testing.T) {
	w, left, other := word(), word(), word()
	stranger := exec.Command("sleep", other)
	stranger.Env = []string{"MONITOR_RUN=0123456789abcdef"}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	cmd := startGuarded(t, w, 1, "TEST_RUNS=1", "TEST_SCRIPT=setsid sleep "+w+" & wait",
		"TEST_BACKGROUND=setsid sleep "+left+" >/dev/null 2>&1 & sleep "+left+" >/dev/null 2>&1 &")
	guard := ownGuardian(cmd.Process.Pid)
	if guard == 0 {
		t.Fatal("there is no guardian")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if !testkit.Within(20*time.Second, func() bool { return !alive(guard) }) {
		t.Error("the guardian lives on")
	}
	if pids, _ := testkit.ProcessesWithArg(t, w); len(pids) != 0 {
		t.Errorf("survivors of a run: %v", pids)
	}
	pids, sleeps := testkit.ProcessesWithArg(t, left)
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if sleeps != 2 {
		t.Errorf("%d of what a command left in the background live, want 2", sleeps)
	}
	if _, sleeps := testkit.ProcessesWithArg(t, other); sleeps != 1 {
		t.Error("a process of somebody else is gone")
	}
}

// alive reports whether a process exists and is not a zombie.
func alive(pid int) bool {
	_, ok := statOf(pid)
	return ok
}

// Faults: T34.
func TestGuardianIsRestarted(t *testing.T) {
	w := word()
	cmd := startGuarded(t, w, testkit.NumStubbornSleeps, "TEST_RUNS=1", "TEST_SCRIPT="+testkit.StubbornSleeps(w))
	first := ownGuardian(cmd.Process.Pid)
	_ = syscall.Kill(first, syscall.SIGTERM) // as to all processes of a service
	_ = syscall.Kill(first, syscall.SIGKILL)
	next := 0
	if !testkit.Within(20*time.Second, func() bool { next = ownGuardian(cmd.Process.Pid); return next != first && next != 0 }) {
		t.Fatal("there is no guardian again")
	}
	_ = cmd.Process.Kill()
	if !testkit.Within(10*time.Second, func() bool { pids, _ := testkit.ProcessesWithArg(t, w); return len(pids) == 0 }) {
		pids, _ := testkit.ProcessesWithArg(t, w)
		t.Errorf("survivors: %v", pids)
	}
}

// Faults: T34.
func TestGuardianIgnoresSignalsAndInheritsNothing(t *testing.T) {
	l := testkit.Listen(t)
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	w := word()
	// The process inherits the socket, as if a parent had not set close-on-exec.
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	_ = f.Close()
	t.Setenv("SECRET_OF_THE_DAEMON", "canary")
	cmd := startGuarded(t, w, 1, "TEST_RUNS=1", "TEST_SCRIPT=sleep "+w)
	guard := ownGuardian(cmd.Process.Pid)
	// It sets its name when it is ready.
	if !testkit.Within(20*time.Second, func() bool {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", guard))
		return string(name) == "monitor-guard\n"
	}) {
		t.Fatal("the guardian does not start")
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
		_ = syscall.Kill(guard, sig)
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", guard))
	if err != nil || string(env) != "GOMAXPROCS=1\x00" {
		t.Errorf("its environment is %q, %v", env, err)
	}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", guard))
	if len(files) < 4 {
		t.Errorf("got files %v, want 4 at least", files)
	}
	for _, file := range files {
		if what, _ := os.Readlink(file); strings.HasPrefix(what, "socket:") {
			t.Errorf("it holds %s, %s", filepath.Base(file), what)
		}
	}
	if !alive(guard) || ownGuardian(cmd.Process.Pid) != guard {
		t.Error("it ended by a signal that is for the whole service")
	}
}

// Faults: T34.
func TestGuardianLivesAsLongAsCommandsMayRun(t *testing.T) {
	g := selfGuardian(nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- g.Run(ctx) }()
	if guard := ownGuardian(os.Getpid()); guard != 0 {
		t.Errorf("there is a guardian %d before the first command", guard)
	}
	files := testkit.OpenFiles(t)
	if _, err := Run(t.Context(), Spec{Path: "true", Guardian: g}); err != nil {
		t.Fatal(err)
	}
	if ownGuardian(os.Getpid()) == 0 {
		t.Error("there is no guardian after the first command")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := children(t); n != 0 {
		t.Errorf("%d children are left", n)
	}
	if n := testkit.OpenFiles(t); n > files+1 { // the runtime may open one to wait for files
		t.Errorf("%d open files, %d before", n, files)
	}
	if _, err := Run(t.Context(), Spec{Path: "true", Guardian: g}); err != nil {
		t.Errorf("after its end: %v", err)
	}
}

// Faults: T34.
func TestGuardianKillsLeftoversAtAStop(t *testing.T) {
	g := selfGuardian(nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- g.Run(ctx) }()
	w := word()
	ended := make(chan error)
	go func() {
		spec := sh("sleep " + w + "; true")
		spec.Guardian = g
		_, err := Run(context.Background(), spec)
		ended <- err
	}()
	if !testkit.Within(20*time.Second, func() bool { _, n := testkit.ProcessesWithArg(t, w); return n == 1 }) {
		t.Fatal("the command does not run")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "signal 9") {
		t.Errorf("got %v, want the signal", err)
	}
}

// Faults: T34.
func TestCommandsRunWithoutAGuardian(t *testing.T) {
	tries := filepath.Join(t.TempDir(), "tries")
	for name, c := range map[string]struct {
		cfg   GuardianConfig
		tries int
	}{
		"missing":        {GuardianConfig{Path: "/no/such/program"}, 0},
		"not executable": {GuardianConfig{Path: "/dev/null"}, 0},
		"ends":           {GuardianConfig{Path: "/bin/sh", Args: []string{"-c", "echo >> " + tries}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c.cfg.Log = testkit.InfoTo(&log)
			g := NewGuardian(c.cfg)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- g.Run(ctx) }()
			for range 20 {
				if _, err := Run(t.Context(), Spec{Path: "true", Guardian: g}); err != nil {
					t.Fatal(err)
				}
			}
			if !testkit.Within(20*time.Second, func() bool { b, _ := os.ReadFile(tries); return len(b) >= c.tries }) {
				t.Errorf("it is not tried %d times", c.tries)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if n := strings.Count(log.String(), "level=WARN"); n != 1 {
				t.Errorf("%d warnings, want 1: %s", n, log.String())
			}
		})
	}
}

// Faults: T34.
func TestOnlyAGuardianProcessGuards(t *testing.T) {
	out, err := exec.Command("/proc/self/exe", guardianWord).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "this process is started by the service only") {
		t.Errorf("got %v, %s", err, out)
	}
}

func TestTableHoldsWhatRuns(t *testing.T) {
	var tab runTable
	if slot := tab.take("before it is open"); slot != noSlot {
		t.Errorf("got slot %d of no table", slot)
	}
	if err := tab.open(); err != nil {
		t.Fatal(err)
	}
	defer tab.close()
	key := func(i int) string { return fmt.Sprintf("%016x", i) }
	var slots []int
	for i := range maxSlots {
		slots = append(slots, tab.take(key(i)))
		tab.write(slots[i], key(i), 1000+i)
	}
	if slot := tab.take(key(maxSlots)); slot != noSlot {
		t.Errorf("got slot %d of a full table", slot)
	}
	for _, slot := range slots[3:] {
		tab.free(slot)
	}
	tab.free(noSlot)
	tab.write(noSlot, key(0), 1)
	again := tab.take(key(5000)) // its group is not known yet
	c, err := readTable(tab.file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{key(0): true, key(1): true, key(2): true, key(5000): true}
	if !maps.Equal(c.keys, want) || !maps.Equal(c.groups, map[int]bool{1000: true, 1001: true, 1002: true}) {
		t.Errorf("got %v and %v, want %v and the groups from 1000 to 1002", c.keys, c.groups, want)
	}
	if session, err := unix.Getsid(0); err != nil || c.session != session {
		t.Errorf("got session %d, want %d, %v", c.session, session, err)
	}
	if !slices.Contains(slots, again) {
		t.Errorf("got the new slot %d while others are free", again)
	}
}

// A group is killed only once: the kernel may give its number to another group of the
// session as soon as it is empty, such as a job of the shell that started this
// process.
// Faults: T34.
func TestGuardianKillsAGroupOnce(t *testing.T) {
	t.Parallel()
	start := func(group int) (pid int, answers func() bool) {
		cmd := exec.Command("cat")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: group}
		in, inErr := cmd.StdinPipe()
		out, outErr := cmd.StdoutPipe()
		if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		return cmd.Process.Pid, func() bool {
			_, _ = in.Write([]byte("?"))
			n, _ := out.Read(make([]byte, 1))
			return n == 1
		}
	}
	session, err := unix.Getsid(0)
	if err != nil {
		t.Fatal(err)
	}
	// The first process is not waited for, so that it keeps its number for the
	// second.
	group, firstAnswers := start(0)
	c, struck := tableContent{session: session, groups: map[int]bool{group: true}}, make(map[int]bool)
	if !firstAnswers() || c.kill(struck) == 0 || firstAnswers() {
		t.Fatal("the group is not killed")
	}
	_, secondAnswers := start(group)
	c.kill(struck)
	if !secondAnswers() {
		t.Error("what took the number of the group is killed")
	}
}

// In a PID namespace, the session of a process may be outside: 0.
// Faults: T34.
func TestGuardianWorksWithoutASession(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "table"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := readTable(file); err == nil {
		t.Error("nothing is a table")
	}
	if _, err := file.Write(append(record(tableKey, 0), record("key", 7)...)); err != nil {
		t.Fatal(err)
	}
	if c, err := readTable(file); err != nil || c.session != 0 || !c.groups[7] || !c.keys["key"] {
		t.Errorf("%+v, %v", c, err)
	}
}
