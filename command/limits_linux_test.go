package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// helperEnv names the role of the test binary when a test starts it.
const helperEnv = "COMMAND_TEST_HELPER"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == guardianWord {
		os.Exit(guardian())
	}
	switch os.Getenv(helperEnv) {
	case "":
		os.Exit(m.Run())
	case "daemon":
		daemon()
	case "guarded":
		guarded()
	case "adopter":
		os.Exit(adopter())
	}
}

// daemon runs 50 commands that never end, until it is killed.
func daemon() {
	for range 50 {
		go func() {
			_, _ = Run(context.Background(), Spec{Path: "sleep", Args: []string{"1000"}, Pass: []string{"TEST_TOKEN"}})
		}()
	}
	select {}
}

// adopter is the first process of a container, if the test can make one: all orphans
// are its children. It runs commands that leave some and returns the number of zombies.
func adopter() int {
	g := selfGuardian(testkit.InfoTo(os.Stderr))
	go g.Run(context.Background())
	for range 20 {
		_, _ = Run(context.Background(), guardedSh(g, "sleep 100 & sleep 100 & exit 0"))
	}
	for _, trap := range []string{"", "trap '' TERM; "} {
		for range 5 {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			_, _ = Run(ctx, guardedSh(g, trap+"setsid sh -c 'setsid sleep 100 & sleep 100' & setsid sleep 100 & sleep 100; sleep 100"))
			cancel()
		}
	}
	n := 0
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
			return n
		}
		n++
	}
}

// self returns a command that starts the test binary in another role.
func self(t *testing.T, part string, env ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(append(os.Environ(), helperEnv+"="+part), env...)
	return cmd
}

// Faults: T34.
func TestCommandsDieWithTheService(t *testing.T) {
	tok := token()
	cmd := self(t, "daemon", tok)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	all := testkit.Within(20*time.Second, func() bool { return len(testkit.ProcessesWithEnv(t, tok+"\x00")) >= 51 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if !all {
		t.Errorf("the 50 commands did not start")
	}
	if !testkit.Within(time.Second, func() bool { return len(testkit.ProcessesWithEnv(t, tok+"\x00")) == 0 }) {
		killProcessesWithEnv(t, tok, 0)
	}
}

// Faults: T30.
func TestOrphansAdoptedByPID1LeaveNoZombies(t *testing.T) {
	leavesNone := func(t *testing.T, cmd *exec.Cmd) {
		t.Helper()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("zombies are left: %v %s", err, out)
		}
	}
	t.Run("child", func(t *testing.T) { leavesNone(t, self(t, "adopter")) })
	t.Run("first process", func(t *testing.T) {
		testkit.SkipIfShort(t)
		testkit.SkipUnlessRoot(t, "make a namespace everywhere")
		cmd := self(t, "adopter")
		first := exec.Command("unshare", "--pid", "--fork", "--mount-proc", cmd.Path)
		first.Env = cmd.Env
		leavesNone(t, first)
	})
}

// Faults: T31.
func TestOutputOfAnySizeIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		size   int64
		kept   int
	}{
		"1 GB":         {"head -c 1000000000 /dev/zero", 1_000_000_000, MaxOutput},
		"lines":        {"yes | head -c 100000000", 100_000_000, MaxOutput},
		"one line":     {"head -c 1000000000 /dev/zero | tr '\\000' x", 1_000_000_000, MaxOutput},
		"NUL":          {"head -c 100 /dev/zero", 100, 100},
		"nothing":      {"true", 0, 0},
		"invalid text": {"printf '\\377\\376'", 2, 2},
		"at the limit": {"head -c 4096 /dev/zero", MaxOutput, MaxOutput},
	} {
		t.Run(name, func(t *testing.T) {
			if c.size > 100_000_000 {
				testkit.SkipIfShort(t)
			}
			var out Output
			var err error
			more := grown(t, func() { out, err = Run(t.Context(), sh(c.script)) })
			if err != nil || out.StdoutSize != c.size || len(out.Stdout) != c.kept {
				t.Errorf("got %d of %d bytes, %v, want %d of %d", len(out.Stdout), out.StdoutSize, err, c.kept, c.size)
			}
			if more > 16<<10 {
				t.Errorf("memory grew by %d KiB, want at most 16 MiB", more)
			}
		})
	}
}

// grown returns by how many KiB the peak of the resident memory during do exceeds the
// memory before.
func grown(t *testing.T, do func()) int64 {
	t.Helper()
	size := func(key string) (n int64) {
		status := testkit.ReadFile(t, "/proc/self/status")
		_, rest, _ := strings.Cut(string(status), key+":")
		if _, err := fmt.Sscan(rest, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	runtime.GC()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // forgets the largest
		t.Fatal(err)
	}
	before := size("VmRSS")
	do()
	return size("VmHWM") - before
}

// Faults: T31, G13.
func TestEndlessOutputOnBothPipesEndsAtTheDeadline(t *testing.T) {
	testkit.TakesAtMost(t, 1700*time.Millisecond, func() {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		var out Output
		var err error
		used := testkit.CPUTime(t)
		if more := grown(t, func() { out, err = Run(ctx, sh("yes >&2 & yes")) }); more > 16<<10 {
			t.Errorf("memory grew by %d KiB, want at most 16 MiB", more)
		}
		if !errors.Is(err, context.DeadlineExceeded) || len(out.Stdout) != MaxOutput || len(out.Stderr) != MaxOutput {
			t.Errorf("got %d and %d bytes, %v", len(out.Stdout), len(out.Stderr), err)
		}
		// One thread reads; the rest is that of the collection that grown asks for.
		if used = testkit.CPUTime(t) - used; used > out.Duration+200*time.Millisecond {
			t.Errorf("it took %v of processor time in %v, want at most one core's", used, out.Duration)
		}
	})
}

// Faults: G40, T35.
func TestCommandSeesOnlyItsEnvironmentAndFiles(t *testing.T) {
	testkit.Setenv(t, "SECRET_OF_THE_DAEMON=canary", "MONITOR_OF_THE_DAEMON=canary", "LC_TIME=C", "WANTED=passed", "HOME=/home/of/daemon")
	inherited, err := unix.Dup(1) // without close-on-exec, as a careless parent may leave one
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)
	out, err := Run(t.Context(), Spec{
		Path: "/bin/sh",
		Args: []string{"-c", "pwd; umask; echo $(ls /proc/self/fd); cat /proc/self/environ | tr '\\000' '\\n'; read x || echo no input"},
		Env:  []string{"GOMA_MONITOR=a", "GOMA_MONITOR=b", "HOME=/tmp"},
		Pass: []string{"WANTED", "ABSENT"},
		// Its pipe and table are files of ours that the command must not see.
		Guardian: runGuardian(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out.Stdout)), "\n")
	if len(lines) < 4 || lines[0] != "/" || lines[1] != "0077" || lines[2] != "0 1 2 3" || lines[len(lines)-1] != "no input" {
		t.Fatalf("got directory, umask, files (and 3, which ls opened): %q", lines)
	}
	var names []string
	for _, pair := range lines[3 : len(lines)-1] {
		name, value, _ := strings.Cut(pair, "=")
		names = append(names, name)
		if strings.Contains(value, "canary") {
			t.Errorf("%s leaked", name)
		}
	}
	for _, want := range []string{"GOMA_MONITOR=b", "HOME=/tmp", "WANTED=passed", "LC_TIME=C"} {
		if !slices.Contains(lines, want) {
			t.Errorf("%s is missing in %q", want, lines)
		}
	}
	allowed := []string{"PATH", "HOME", "USER", "LANG", "TZ", "LC_TIME", "LC_ALL", "LC_CTYPE", "GOMA_MONITOR", "WANTED", markName, "PWD", "OLDPWD", "SHLVL", "_"}
	for _, name := range names {
		if !slices.Contains(allowed, name) {
			t.Errorf("%s is visible", name)
		}
	}
}

// Faults: G40.
func TestUmaskOfTheServiceIsUnchanged(t *testing.T) {
	before := unix.Umask(0o022)
	defer unix.Umask(before)
	if _, err := Run(t.Context(), Spec{Path: "true"}); err != nil {
		t.Fatal(err)
	}
	if got := unix.Umask(0o022); got != 0o022 {
		t.Errorf("got umask %03o, want 022", got)
	}
}

func TestProgramsGiveWayAndLeaveNoCoreFiles(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1 << 20, Max: before.Max}); err != nil {
		t.Fatalf("allowing core files: %v; this test needs a hard limit of 1 MiB at least", err)
	}
	defer unix.Setrlimit(unix.RLIMIT_CORE, &before)
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours := 20 - raw
	// Both are set just after the start, so the script may read the old values first.
	want := fmt.Sprint("nice ", min(ours+5, 19), " core 0")
	const look = `set -- $(grep core /proc/self/limits); x="nice $(nice) core $5"`
	out, err := Run(t.Context(), sh(`for i in $(seq 500); do `+look+`; [ "$x" = "`+want+`" ] && break; sleep 0.02; done; echo $x`))
	if err != nil || string(out.Stdout) != want+"\n" {
		t.Errorf("got %q, %v, want %q", out.Stdout, err, want)
	}
	// A Background command keeps the settings of the service.
	spec := sh("sleep 0.1; " + look + "; echo $x")
	spec.Background = true
	want = fmt.Sprint("nice ", ours, " core 1048576")
	if out, err := Run(t.Context(), spec); err != nil || string(out.Stdout) != want+"\n" {
		t.Errorf("in the background: got %q, %v, want %q", out.Stdout, err, want)
	}
}

// BenchmarkRun runs /bin/true sequentially, 8 at a time per CPU, and 200 times a
// second, guarded as in the service. The goal is at most 0.9 CPU-s per 1,000 and
// 2,000/s in parallel.
func BenchmarkRun(b *testing.B) {
	spec := Spec{Path: "/bin/true", Guardian: runGuardian(b)}
	b.Run("one by one", func(b *testing.B) {
		used := testkit.CPUTimeWithChildren(b)
		for b.Loop() {
			if _, err := Run(b.Context(), spec); err != nil {
				b.Fatal(err)
			}
		}
		report(b, used)
	})
	b.Run("8 per CPU", func(b *testing.B) { flatOut(b, spec) })
	b.Run("200/s", func(b *testing.B) {
		used := testkit.CPUTimeWithChildren(b)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for b.Loop() {
			<-tick.C
			if _, err := Run(b.Context(), spec); err != nil {
				b.Fatal(err)
			}
		}
		report(b, used)
	})
}

// BenchmarkRunBare does the same with os/exec and without any protection.
func BenchmarkRunBare(b *testing.B) {
	b.Run("200/s", func(b *testing.B) {
		paced(b, func() error {
			_, err := exec.CommandContext(b.Context(), "/bin/true").Output()
			return err
		})
	})
}

// paced runs a program 200 times a second.
func paced(b *testing.B, run func() error) {
	b.Helper()
	used := testkit.CPUTimeWithChildren(b)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for b.Loop() {
		<-tick.C
		if err := run(); err != nil {
			b.Fatal(err)
		}
	}
	report(b, used)
}

// flatOut runs 8 programs at a time per CPU.
func flatOut(b *testing.B, spec Spec) {
	b.Helper()
	used := testkit.CPUTimeWithChildren(b)
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := Run(b.Context(), spec); err != nil {
				b.Error(err)
				return
			}
		}
	})
	report(b, used)
}

func report(b *testing.B, used time.Duration) {
	b.Helper()
	b.StopTimer()
	b.ReportMetric((testkit.CPUTimeWithChildren(b)-used).Seconds()/float64(b.N)*1000, "CPU-s/1000")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
}
