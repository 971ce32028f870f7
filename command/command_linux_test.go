package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/test/program"
)

// serial numbers the tokens that identify the processes of a test.
var serial atomic.Int64

// token returns a NAME=VALUE pair that no other process has.
func token() string {
	return fmt.Sprintf("TEST_TOKEN=%d-%d", os.Getpid(), serial.Add(1))
}

// children counts the children of this process, including zombies.
func children(tb testing.TB) int {
	tb.Helper()
	files, _ := filepath.Glob("/proc/self/task/*/children")
	n := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
			tb.Fatal(err)
		}
		n += len(bytes.Fields(b))
	}
	return n
}

// sh returns the spec of a shell script.
func sh(script string, env ...string) Spec {
	return Spec{Path: "/bin/sh", Args: []string{"-c", script}, Env: env}
}

func TestRunReturnsOutputAndExitCode(t *testing.T) {
	out, err := Run(t.Context(), sh("echo out; echo err >&2"))
	if err != nil || string(out.Stdout) != "out\n" || string(out.Stderr) != "err\n" || out.ExitCode != 0 {
		t.Errorf("got %q, %q, %d, %v", out.Stdout, out.Stderr, out.ExitCode, err)
	}
	if out.Unkillable || out.Duration <= 0 {
		t.Errorf("got unkillable %v, duration %v", out.Unkillable, out.Duration)
	}
}

func TestRunOnEndedContextStartsNothing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("shutting down")
	cancel(cause)
	file := filepath.Join(t.TempDir(), "ran")
	if _, err := Run(ctx, sh("touch "+file)); !errors.Is(err, cause) {
		t.Errorf("got %v, want the cause", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the command ran")
	}
}

// Faults: G41.
func TestReasonOfAFailedCommandIsKept(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for name, c := range map[string]struct {
		spec Spec
		want string
	}{
		"exit code": {sh("echo 'no such\ttable\x1b[31m' >&2; exit 3"), "exit status 3: no such table[31m"},
		"silent":    {sh("exit 2"), "exit status 2"},
		"signal":    {sh("kill -SEGV $$"), "ended by signal 11 (segmentation fault)"},
		"long":      {sh("echo " + long + " >&2; exit 1"), "exit status 1: " + long[:maxReason-len("…")] + "…"},
		"on stdout": {sh("echo no such disk; exit 3"), "exit status 3: no such disk"},
		"on both":   {sh("echo output; echo reason >&2; exit 3"), "exit status 3: reason"},
		"traceback": {sh("echo Traceback: >&2; echo " + long + " >&2; echo 'RuntimeError: db gone' >&2; exit 1"), "exit status 1: Traceback: … RuntimeError: db gone"},
		"bytes":     {sh(`printf 'a\377b\000c' >&2; exit 1`), "exit status 1: abc"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Run(t.Context(), c.spec)
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
			var exit *ExitError
			if !errors.As(err, &exit) {
				t.Errorf("got %T, want *ExitError", err)
			}
		})
	}
}

// stubborn are scripts that try to outlive their deadline.
var stubborn = map[string]string{
	"ignores TERM":       `trap '' TERM; while :; do sleep 100; done`,
	"forks, keeps":       `sleep 100 & sleep 100`,
	"forks, ignores":     `(trap '' TERM; sleep 100; sleep 100) & trap '' TERM; wait; wait`,
	"setsid, keeps":      `setsid sleep 100 & sleep 100`,
	"setsid, closes":     `setsid sleep 100 >/dev/null 2>&1 & sleep 100`,
	"double fork":        `(setsid sh -c "trap '' TERM; sleep 100; sleep 100" &) ; sleep 100`,
	"closes all, lives":  `exec >&- 2>&-; sleep 100`,
	"setsid tree":        `setsid sh -c 'setsid sleep 100 & sleep 100 & sleep 100' & sleep 100`,
	"stopped":            `kill -STOP $$`,
	"exits at TERM only": `setsid sleep 100 & trap 'exit 0' TERM; while :; do sleep 0.01; done`,
}

// Faults: T30.
func TestNothingOutlivesTheDeadlineOfACommand(t *testing.T) {
	for name, script := range stubborn {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := token()
			const deadline = 300 * time.Millisecond
			var out Output
			var took time.Duration
			for range 3 { // on a busy machine one time says little
				begin := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				var err error
				out, err = Run(ctx, sh(script, tok))
				cancel()
				took = time.Since(begin)
				var late *TimeoutError
				if !errors.As(err, &late) || !late.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want a *TimeoutError", err)
				}
				if !out.Unkillable && took <= deadline+1500*time.Millisecond {
					break
				}
			}
			if out.Unkillable || took > deadline+1500*time.Millisecond {
				t.Errorf("said to be unkillable: %v; took %v, want at most 1.8 s", out.Unkillable, took)
			}
			if !testkit.Within(2*time.Second, func() bool { return len(testkit.ProcessesWithEnv(t, tok+"\x00")) == 0 }) {
				t.Errorf("survivors: %v", testkit.ProcessesWithEnv(t, tok+"\x00"))
			}
		})
	}
}

// Faults: T30.
func TestCommandMayTidyUpWithinASecond(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	out, err := Run(ctx, sh("trap 'echo tidied; exit 0' TERM; sleep 100 & wait"))
	if !errors.Is(err, context.DeadlineExceeded) || string(out.Stdout) != "tidied\n" || out.ExitCode != 0 {
		t.Errorf("got %q, %d, %v", out.Stdout, out.ExitCode, err)
	}
}

// Faults: G11.
func TestGrandchildHoldingStdoutDelaysNothing(t *testing.T) {
	tok := token()
	begin := time.Now()
	out, err := Run(t.Context(), sh("sleep 100 & echo done", tok))
	if err != nil || string(out.Stdout) != "done\n" {
		t.Errorf("got %q, %v", out.Stdout, err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("took %v although the command ended at once", took)
	}
	if !testkit.Within(time.Second, func() bool { return len(testkit.ProcessesWithEnv(t, tok+"\x00")) == 0 }) {
		t.Error("the background process lives on")
	}
}

// Faults: G11.
func TestDaemonOfAnActionHoldingStdoutDelaysNothingAndLives(t *testing.T) {
	tok := token()
	begin := time.Now()
	spec := sh("setsid sleep 100 & sleep 0.05; echo done", tok)
	spec.Background = true
	_, err := Run(t.Context(), spec)
	if took := time.Since(begin); err != nil || took > 20*time.Second {
		t.Errorf("took %v, %v, although the command ended at once", took, err)
	}
	killProcessesWithEnv(t, tok, 1)
}

func TestBackgroundIsLeftAloneWhenAskedFor(t *testing.T) {
	tok := token()
	spec := sh("sleep 100 >/dev/null 2>&1 & echo done", tok)
	spec.Background = true
	if _, err := Run(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	killProcessesWithEnv(t, tok, 1)
}

// killProcessesWithEnv kills the processes that hold the token and checks their
// number.
func killProcessesWithEnv(t *testing.T, tok string, want int) {
	t.Helper()
	pids := testkit.ProcessesWithEnv(t, tok+"\x00")
	if len(pids) != want {
		t.Errorf("got survivors %v, want %d", pids, want)
	}
	testkit.Kill(pids)
}

// Faults: G12.
func TestNoOrphansAfterTimeouts(t *testing.T) {
	tok := token()
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := Run(ctx, sh("sleep 100 & sleep 100 & wait", tok))
		cancel()
		if err == nil {
			t.Error("got no error")
		}
	}
	if !testkit.Within(2*time.Second, func() bool { return len(testkit.ProcessesWithEnv(t, tok+"\x00")) == 0 }) {
		t.Errorf("survivors: %v", testkit.ProcessesWithEnv(t, tok+"\x00"))
	}
}

// Faults: G14.
func TestCancelEndsARunWithoutDeadline(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	begin := time.Now()
	_, err := Run(ctx, sh("sleep 39"))
	if took := time.Since(begin); !errors.Is(err, context.Canceled) || took > 20*time.Second {
		t.Errorf("got %v after %v", err, took)
	}
}

// The test waits until the processes run, so that it cannot miss them.
// Faults: T30.
func TestProcessesRunningAtTheDeadlineAreGone(t *testing.T) {
	late := errors.New("the deadline")
	var took time.Duration
	for range 3 { // on a busy machine one time says little
		w := word()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() {
			_, err := Run(ctx, sh("trap '' TERM\n"+testkit.StubbornSleeps(w)))
			done <- err
		}()
		if !testkit.Within(30*time.Second, func() bool { _, n := testkit.ProcessesWithArg(t, w); return n == testkit.NumStubbornSleeps }) {
			t.Error("the processes do not run")
		}
		begin := time.Now()
		cancel(late)
		if err := <-done; !errors.Is(err, late) {
			t.Errorf("got %v, want the deadline", err)
		}
		took = time.Since(begin)
		if !testkit.Within(2*time.Second, func() bool { pids, _ := testkit.ProcessesWithArg(t, w); return len(pids) == 0 }) {
			pids, _ := testkit.ProcessesWithArg(t, w)
			t.Errorf("survivors: %v", pids)
			for _, pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if took <= 1500*time.Millisecond {
			return
		}
	}
	t.Errorf("took %v after the deadline, want at most 1.5 s", took)
}

// run30 runs one of a thousand commands: one in ten forks, moves to another session
// and is killed at its deadline; others fail or cannot be started.
func run30(ctx context.Context, i int, tok string) error {
	switch i % 10 {
	case 0:
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_, err := Run(ctx, sh("setsid sleep 100 & (sleep 100 & sleep 100) & exec >&- 2>&-; sleep 100", tok))
		if !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("got %v, want the deadline", err)
		}
	case 1:
		if _, err := Run(ctx, Spec{Path: "/no/such/program"}); err == nil {
			return errors.New("a program that is missing was started")
		}
	case 2:
		if _, err := Run(ctx, sh("sleep 100 & exit 1", tok)); err == nil {
			return errors.New("a failure was none")
		}
	default:
		_, err := Run(ctx, Spec{Path: "true"})
		return err
	}
	return nil
}

// Faults: T30, I3.
func TestThousandRunsLeaveNothingBehind(t *testing.T) {
	tok := token()
	many := func(runs int) {
		testkit.Go(10, func(lane int) {
			for i := range runs / 10 {
				if err := run30(t.Context(), i+lane, tok); err != nil {
					t.Error(err)
					return
				}
			}
		})()
	}
	many(testkit.Fewer(100, 50))
	files := testkit.OpenFiles(t)
	many(testkit.Fewer(1000, 50))
	if n := children(t); n != 0 {
		t.Errorf("%d children or zombies left", n)
	}
	if n := testkit.OpenFiles(t); n > files {
		t.Errorf("%d open files, %d before", n, files)
	}
	if !testkit.Within(2*time.Second, func() bool { return len(testkit.ProcessesWithEnv(t, tok+"\x00")) == 0 }) {
		t.Errorf("survivors: %v", testkit.ProcessesWithEnv(t, tok+"\x00"))
	}
}

// Faults: T33.
func TestCommandsThatCannotStartGiveTheReason(t *testing.T) {
	dir := t.TempDir()
	plain := program.WriteIn(t, dir, "plain", "#!/bin/sh\n", 0o600)
	wrong := program.WriteIn(t, dir, "wrong", "#!/no/such/interpreter\n", 0o700)
	busy := program.WriteIn(t, dir, "busy", "", 0o700)
	f, err := os.OpenFile(busy, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, c := range map[string]struct {
		spec Spec
		want string
	}{
		"missing":      {Spec{Path: dir + "/none"}, "no such file or directory"},
		"not in PATH":  {Spec{Path: "no-such-command"}, "not found in PATH"},
		"a line":       {Spec{Path: "ls -l /"}, "no such file or directory; give arguments in the key args"},
		"empty":        {Spec{}, "no command given"},
		"no exec bit":  {Spec{Path: plain}, "permission denied"},
		"a directory":  {Spec{Path: dir}, "permission denied"},
		"interpreter":  {Spec{Path: wrong}, "no such file or directory"},
		"busy":         {Spec{Path: busy}, "text file busy"},
		"2 MiB of env": {Spec{Path: "true", Env: []string{"A=" + strings.Repeat("x", 2<<20)}}, "argument list too long"},
		"NUL":          {Spec{Path: "true", Args: []string{"a\x00b"}}, "invalid argument"},
		"no directory": {Spec{Path: "true", Dir: dir + "/none"}, "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			files := testkit.OpenFiles(t)
			out, err := Run(t.Context(), c.spec)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), fmt.Sprintf("%q", c.spec.Path)) {
				t.Errorf("got %v, want the command and %q", err, c.want)
			}
			if out.ExitCode != -1 {
				t.Errorf("got exit code %d, want -1", out.ExitCode)
			}
			if n := testkit.OpenFiles(t); n > files {
				t.Errorf("%d open files, %d before", n, files)
			}
			if n := children(t); n != 0 {
				t.Errorf("%d children or zombies left", n)
			}
		})
	}
}
