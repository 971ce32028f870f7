package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/command"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/test/program"
)

// daemonWord makes the test binary a daemon with exec probes that the test kills.
const daemonWord = "a-daemon-to-be-killed"

// script writes a shell script and returns its path.
func script(tb testing.TB, lines ...string) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "check.sh")
	program.Script(tb, file, lines...)
	return file
}

// execProbeOf makes an exec probe of a command and further keys.
func execProbeOf(tb testing.TB, command string, keys ...string) Probe {
	tb.Helper()
	return build(tb, "exec", "command = "+strconv.Quote(command)+"\n"+strings.Join(keys, "\n"), Env{Guardian: guardian})
}

// newGuardian returns a Guardian whose process is this test binary.
func newGuardian() *command.Guardian {
	return command.NewGuardian(command.GuardianConfig{Path: "/proc/self/exe", Args: []string{daemonWord, guardianArg}})
}

// guardian is that of this process, which has one at most.
var guardian = newGuardian()

// guardedTests are tests during which the Guardian runs.
type guardedTests struct{ *testing.M }

// Run runs the tests.
func (m guardedTests) Run() int {
	ctx, cancel := context.WithCancel(context.Background())
	wait := testkit.Go(1, func(int) {
		if err := guardian.Run(ctx); err != nil {
			panic(err)
		}
	})
	defer wait()
	defer cancel()
	return m.M.Run()
}

// children returns the children of this process, including zombies.
func children(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		tb.Fatal(err)
	}
	var list []string
	for _, f := range files {
		stat, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			list = append(list, f+" "+fields[0])
		}
	}
	return list
}

func TestExecValues(t *testing.T) {
	for _, c := range []struct {
		command, keys string
		value         float64
		warning       bool
	}{
		{"true", "", 0, false},
		{"echo", `args = ["123.45"]` + "\nparse = true", 123.45, false},
		{"echo", `args = ["12"]`, 0, false},
		{script(t, "echo OK - fine"), `exit_codes = "nagios"`, 0, false},
		{script(t, "echo 'WARNING - 91%'", "exit 1"), `exit_codes = "nagios"`, 0, true},
		{script(t, "echo 91", "exit 1"), `exit_codes = "nagios"` + "\nparse = true", 91, true},
	} {
		r := ok(t, execProbeOf(t, c.command, c.keys))
		if r.Value != c.value || r.Warning != c.warning {
			t.Errorf("%s %s: value %v, warning %v, want %v, %v", c.command, c.keys, r.Value, r.Warning, c.value, c.warning)
		}
	}
}

// TestErrorIsNeverAValue runs goma's own cases, in which a failure was 0 and
// so was the only good value.
// Faults: G4.
func TestErrorIsNeverAValue(t *testing.T) {
	for _, c := range []struct {
		kind, text string
		shown      float64
	}{
		{"exec", `command = "false"`, 1},
		{"exec", "command = \"false\"\nparse = true", 0},
		{"exec", "command = \"false\"\nparse = true\nerrval = 3.0", 3},
		{"exec", "command = \"echo\"\nparse = true", 0},
		{"http", "url = \"http://" + testkit.FreeAddress(t) + "/\"", 1},
		{"http", "url = \"http://" + testkit.FreeAddress(t) + "/\"\nparse = true", 0},
		{"http", "url = \"http://" + testkit.FreeAddress(t) + "/\"\nparse = true\nerrval = 100", 100},
		{"mysql", "dsn = \"u@tcp(" + testkit.FreeAddress(t) + ")/d\"\nquery = \"SELECT 1\"", 0},
		{"mysql", "dsn = \"u@tcp(" + testkit.FreeAddress(t) + ")/d\"\nquery = \"SELECT 1\"\nerrval = 123", 123},
		{"postgres", "dsn = \"postgres://u@" + testkit.FreeAddress(t) + "/d\"\nquery = \"SELECT 1\"\nerrval = -1", -1},
		{"redis", "address = \"" + testkit.FreeAddress(t) + "\"\nparse = true\nerrval = 5", 5},
		{"tcp", "address = \"" + testkit.FreeAddress(t) + "\"", 1},
		{"grpc", "address = \"" + testkit.FreeAddress(t) + "\"", 1},
	} {
		r, _ := fails(t, build(t, c.kind, c.text, Env{}), "")
		if r.Value != c.shown {
			t.Errorf("%s %q: shown value %v, want %v", c.kind, c.text, r.Value, c.shown)
		}
	}
}

// Faults: G6.
func TestNonFiniteNumbersAreRefused(t *testing.T) {
	for kind, text := range map[string]string{
		"exec":     `command = "true"`,
		"http":     `url = "http://h/"`,
		"mysql":    "dsn = \"u@tcp(h:1)/d\"\nquery = \"SELECT 1\"",
		"postgres": "dsn = \"postgres://h/d\"\nquery = \"SELECT 1\"",
		"redis":    `address = "h:1"`,
	} {
		for _, v := range []string{"nan", "inf", "-inf"} {
			if err := refused(t, kind, text+"\nerrval = "+v, Env{}); !strings.Contains(err.Error(), "errval") {
				t.Errorf("%s: error %q, want one that names errval", kind, err)
			}
		}
	}
}

// Faults: G11.
func TestGrandchildHoldingStdoutBlocksNoProbe(t *testing.T) {
	p := execProbeOf(t, script(t, "sleep 30 &", "sleep 30"))
	begin := time.Now()
	_, err := run(t, p, 300*time.Millisecond)
	if err == nil {
		t.Fatal("no error, want the timeout")
	}
	if took := time.Since(begin); took > 1800*time.Millisecond+slack {
		t.Errorf("took %v, want at most 1.8 s", took)
	}
	// The other case: the command itself ends, what it started holds the pipe.
	begin = time.Now()
	if _, err := run(t, execProbeOf(t, script(t, "sleep 30 &", "exit 0")), 20*time.Second); err != nil {
		t.Errorf("error %v of a command that ended well", err)
	}
	if took := time.Since(begin); took > 2*time.Second+slack {
		t.Errorf("took %v, want less than 2 s", took)
	}
}

// Faults: T30, G12.
func TestNoProcessOutlivesAnExecProbe(t *testing.T) {
	for name, lines := range map[string][]string{
		"ignores SIGTERM":       {"trap '' TERM", "sleep 60", "sleep 60"},
		"forks":                 {"sleep 60 & sleep 60 & sleep 60"},
		"setsid":                {"setsid sleep 60 &", "setsid sh -c 'sleep 60; true' &", "sleep 60"},
		"double fork":           {"(setsid sh -c '(sleep 60; true) & sleep 60' &)", "sleep 60"},
		"setsid ignores signal": {"setsid sh -c \"trap '' TERM HUP INT; sleep 60; sleep 60\" &", "sleep 60"},
		"closes stdout":         {"exec >&- 2>&-", "sleep 60"},
		"keeps stdout":          {"setsid sleep 60 & sleep 60"},
		"stopped":               {"kill -STOP $$"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark := "PROBE_TEST=" + strings.ReplaceAll(t.Name(), " ", "_")
			p := execProbeOf(t, script(t, lines...), "env = ["+strconv.Quote(mark)+"]")
			begin := time.Now()
			_, err := run(t, p, 400*time.Millisecond)
			took := time.Since(begin)
			if err == nil || !strings.Contains(err.Error(), "deadline") {
				t.Errorf("error %v, want the deadline", err)
			}
			if took > 1900*time.Millisecond+slack {
				t.Errorf("took %v, want at most 0.4 + 1.5 s", took)
			}
			testkit.Eventually(t, 2*time.Second, "no survivor", func() bool { return len(testkit.ProcessesWithEnv(t, mark)) == 0 })
		})
	}
}

// Faults: T30, I3.
func TestManyRunsLeaveNoZombieAndNoFile(t *testing.T) {
	p := execProbeOf(t, "true")
	for range 10 {
		ok(t, p)
	}
	before := testkit.OpenFiles(t)
	testkit.Go(8, func(int) {
		p := execProbeOf(t, "true")
		for range 125 {
			if _, err := run(t, p, 30*time.Second); err != nil {
				t.Error(err)
				return
			}
		}
	})()
	if after := testkit.OpenFiles(t); after > before+2 {
		t.Errorf("%d open files after 1,000 runs, %d before", after, before)
	}
	testkit.Eventually(t, 2*time.Second, "no child but the guardian", func() bool { return len(children(t)) == 1 })
}

// Faults: T31, G13.
func TestOutputOfExecProbesIsBounded(t *testing.T) {
	for name, c := range map[string]struct{ command, want string }{
		"300 MB":        {"head -c 300000000 /dev/zero", "its output is 300000000 bytes long"},
		"one line":      {"head -c 100000000 /dev/zero | tr '\\0' x", "its output is 100000000 bytes long"},
		"NUL bytes":     {"printf '1\\0002'", "is not a decimal number"},
		"nothing":       {"true", "its output is empty"},
		"invalid UTF-8": {"printf '\\377\\376'", "is not a decimal number"},
		"stderr":        {"head -c 100000000 /dev/zero >&2", "its output is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			p := execProbeOf(t, script(t, c.command), "parse = true")
			before := rss(t)
			r, err := run(t, p, 60*time.Second)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if grown := rss(t) - before; grown > 16*raceFactor<<20 {
				t.Errorf("RSS grew by %d MiB, want at most 16", grown>>20)
			}
			if len(r.Detail) > maxDetail {
				t.Errorf("detail of %d bytes, want at most %d", len(r.Detail), maxDetail)
			}
		})
	}
}

// TestForkBombIsKilled runs one as another user with a limit of processes,
// which needs root.
// Faults: T32.
func TestForkBombIsKilled(t *testing.T) {
	testkit.SkipUnlessRoot(t, "run a fork bomb as another user")
	mark := "PROBE_TEST=fork-bomb"
	// Where it may not fork, bash tries again instead of giving up.
	p := execProbeOf(t, script(t, "prlimit --nproc=48:48 setpriv --reuid 54321 --clear-groups bash -c 'bomb() { bomb | bomb & }; bomb; wait' 2>/dev/null", "sleep 30"),
		"env = ["+strconv.Quote(mark)+"]")
	other := execProbeOf(t, "true")
	done := make(chan error, 1)
	most := 0
	begin := time.Now()
	go func() {
		_, err := run(t, p, 500*time.Millisecond)
		done <- err
	}()
	for ended := false; !ended; {
		select {
		case err := <-done:
			if err == nil {
				t.Error("no error, want the deadline")
			}
			ended = true
		default:
			probed := time.Now()
			ok(t, other)
			if took := time.Since(probed); took > time.Second+slack {
				t.Errorf("another probe took %v meanwhile", took)
			}
			most = max(most, len(testkit.ProcessesWithEnv(t, mark)))
		}
	}
	if took := time.Since(begin); took > 2*time.Second+slack {
		t.Errorf("took %v, want at most 0.5 + 1.5 s", took)
	}
	if most < 20 {
		t.Errorf("%d processes at most were seen: that is no bomb", most)
	}
	testkit.Eventually(t, 2*time.Second, "no survivor", func() bool { return len(testkit.ProcessesWithEnv(t, mark)) == 0 })
}

// Faults: T33.
func TestExecProbesThatCannotStartGiveTheReason(t *testing.T) {
	dir := t.TempDir()
	busy := filepath.Join(dir, "busy")
	data := testkit.ReadFile(t, "/bin/true")
	f, err := os.OpenFile(busy, os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	big := "A=" + strings.Repeat("x", 2<<20)
	for name, c := range map[string]struct{ command, keys, want string }{
		"missing":     {filepath.Join(dir, "none"), "", "no such file"},
		"not in PATH": {"there-is-no-such-command", "", "not found in PATH"},
		"plain file":  {program.WriteIn(t, dir, "plain", "x", 0o600), "", "permission denied"},
		"directory":   {dir, "", "permission denied"},
		"busy":        {busy, "", "text file busy"},
		"interpreter": {program.WriteIn(t, dir, "interp", "#!/no/such/interpreter\n", 0o700), "", "no such file"},
		"no format":   {program.WriteIn(t, dir, "format", "\x00\x01\x02", 0o700), "", "exec format error"},
		"large env":   {"true", "env = [" + strconv.Quote(big) + "]", "argument list too long"},
		"no dir":      {"true", `dir = "/no/such/dir"`, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			fails(t, execProbeOf(t, c.command, c.keys), c.want)
		})
	}
}

// guardianArg makes such a daemon the guardian of another one.
const guardianArg = "its-guardian"

// runDaemon runs exec probes until it is killed.
func runDaemon(args []string) {
	if args[0] == guardianArg {
		if err := command.Guard(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	go guardian.Run(context.Background())
	mark, script := args[0], args[1]
	for range 50 {
		go func() {
			text := fmt.Sprintf("command = %q\nenv = [%q]", script, mark)
			p, err := New(Builtin(), "exec", decodeTOML(text), Env{Log: testkit.QuietLog(), Guardian: guardian})
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			_, err = p.Probe(context.Background())
			fmt.Println("ended:", err)
			os.Exit(1)
		}()
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

// Faults: T34.
func TestNoChildOutlivesAKilledService(t *testing.T) {
	mark := "PROBE_TEST=killed-daemon-" + strconv.Itoa(os.Getpid())
	// A child that ignores SIGTERM, a grandchild, and a process with another session
	// and parent.
	tree := script(t, `sh -c "trap '' TERM; sleep 60; true" &`, "(setsid sleep 60 >/dev/null 2>&1 &)", "sleep 60", "true")
	daemon := exec.Command(os.Args[0], daemonWord, mark, tree)
	stdin, err := daemon.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer daemon.Process.Kill()
	said := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		said <- line
	}()
	running := func() bool { return len(testkit.ProcessesWithEnv(t, mark)) >= 250 }
	testkit.Eventually(t, 60*time.Second, "50 probes run, of 5 processes each", running)
	if err := daemon.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = daemon.Wait()
	if line := <-said; line != "" {
		t.Errorf("the daemon said %q", line)
	}
	testkit.Eventually(t, time.Second+slack, "no child is left", func() bool { return len(testkit.ProcessesWithEnv(t, mark)) == 0 })
}

// Faults: T35, G40.
func TestChildSeesOnlyListedVariablesAndFiles(t *testing.T) {
	t.Setenv("PROBE_TEST_TOKEN", "canary")
	t.Setenv("PROBE_TEST_PASSED", "passed")
	t.Setenv("LC_TIME", "C")
	leaked, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0) // to be inherited
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(leaked)
	out := filepath.Join(t.TempDir(), "out")
	p := execProbeOf(t, script(t,
		`exec > "$OUT"`, "env | cut -d= -f1 | sort | tr '\\n' ' '", "echo", "ls /proc/self/fd | tr '\\n' ' '", "echo", "pwd", "umask",
		"echo $PROBE_TEST_PASSED",
	), `pass_env = ["PROBE_TEST_PASSED"]`, "env = ["+strconv.Quote("OUT="+out)+"]")
	ok(t, p)
	data := testkit.ReadFile(t, out)
	lines := strings.Split(string(data), "\n")
	allowed := []string{"PATH", "HOME", "LANG", "LC_TIME", "TZ", "USER", "MONITOR_RUN", "OUT", "PROBE_TEST_PASSED", "PWD", "OLDPWD", "SHLVL", "_"}
	for _, name := range strings.Fields(lines[0]) {
		if !slices.Contains(allowed, name) && !strings.HasPrefix(name, "LC_") {
			t.Errorf("the child sees the variable %s", name)
		}
	}
	// ls itself opens the directory as descriptor 3.
	if got := strings.Fields(lines[1]); !slices.Equal(got, []string{"0", "1", "2", "3"}) {
		t.Errorf("the child has the files %v open, want 0 to 2 and that of ls", got)
	}
	if lines[2] != "/" || lines[3] != "0077" || lines[4] != "passed" {
		t.Errorf("directory, umask and passed variable %q, want /, 0077 and passed", lines[2:5])
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the child wrote a file with mode %v, %v, want 0600", info.Mode(), err)
	}
}

// Faults: G41.
func TestReasonOfAFailedExecProbeIsKept(t *testing.T) {
	long := strings.Repeat("y", 1000)
	for name, c := range map[string]struct{ lines, wantErr, wantDetail string }{
		"exit code": {"echo gone wrong >&2; exit 2", "exit status 2: gone wrong", "exit 2: gone wrong"},
		"signal":    {"kill -SEGV $$", "signal 11", "signal 11"},
		"long":      {"echo " + long + " >&2; exit 7", "exit status 7: yyyy", "exit 7: yyyy"},
		"binary":    {"printf 'a\\033[31mb\\377\\000c\\n' >&2; exit 1", "a[31mbc", "a[31mbc"},
		"warning":   {"echo careful >&2; exit 0", "", "exit 0: careful"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := run(t, execProbeOf(t, script(t, c.lines)), 10*time.Second)
			if c.wantErr != "" && (err == nil || !strings.Contains(err.Error(), c.wantErr)) {
				t.Errorf("error %v, want %q", err, c.wantErr)
			}
			if !strings.Contains(r.Detail, c.wantDetail) || len(r.Detail) > maxDetail {
				t.Errorf("detail %q, want %q in at most %d bytes", r.Detail, c.wantDetail, maxDetail)
			}
		})
	}
	_, err := run(t, execProbeOf(t, script(t, "echo still working >&2", "sleep 30")), 300*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "still working") || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("error %v, want the deadline and what was said before", err)
	}
}

func TestExecNagiosSaysWhatThePluginSays(t *testing.T) {
	nagios := `exit_codes = "nagios"`
	fails(t, execProbeOf(t, script(t, "echo 'DISK CRITICAL - 99% | /=99'", "exit 2"), nagios), "critical: DISK CRITICAL - 99%")
	fails(t, execProbeOf(t, script(t, "echo 'no such disk'", "exit 3"), nagios), "unknown: no such disk")
	fails(t, execProbeOf(t, script(t, "exit 4"), nagios), "exit status 4")
	r := ok(t, execProbeOf(t, script(t, "echo 'DISK WARNING - 91%'", "exit 1"), nagios))
	if !strings.Contains(r.Detail, "DISK WARNING - 91%") {
		t.Errorf("detail %q, want what the plugin said", r.Detail)
	}
}

// Faults: C20.
func TestExecSaysWhyWhereverTheProgramSaidIt(t *testing.T) {
	traceback := "echo 'Traceback (most recent call last):'; for i in $(seq 30); do echo \"  File 'check.py', line $i, in check\"; done; echo 'RuntimeError: db gone'"
	for _, c := range []struct {
		name, keys, lines   string
		wantErr, wantDetail string
	}{
		{"nagios 1", "nagios", "(" + traceback + ") >&2; exit 1", "", "exit 1: Traceback (most recent call last): … RuntimeError: db gone"},
		{"nagios 2", "nagios", "echo no route >&2; exit 2", "critical: no route", "exit 2: no route"},
		{"nagios 3", "nagios", "echo cannot read config >&2; exit 3", "unknown: cannot read config", "exit 3: cannot read config"},
		{"nagios 0", "nagios", "echo deprecated >&2; exit 0", "", "exit 0: deprecated"},
		{"nagios 4", "nagios", "echo no plugin >&2; exit 4", "exit status 4: no plugin", "exit 4: no plugin"},
		{"nagios both", "nagios", "echo OUT; echo ERR >&2; exit 2", "critical: OUT", "exit 2: OUT"},
		{"nagios blank", "nagios", "echo; echo ERR >&2; exit 3", "unknown: ERR", "exit 3: ERR"},
		{"nagios silent", "nagios", "exit 3", "unknown: it printed nothing", "exit 3"},
		{"plain stdout", "", "echo no such disk; exit 1", "exit status 1: no such disk", "exit 1: no such disk"},
		{"plain both", "", "echo OUT; echo ERR >&2; exit 1", "exit status 1: ERR", "exit 1: ERR"},
		{"plain traceback", "", "(" + traceback + ") >&2; exit 1", "exit status 1: Traceback (most recent call last): … RuntimeError: db gone", "db gone"},
		{"plain fine", "", "echo 12; exit 0", "", "exit 0"},
		{"late", "", "echo waiting for the lock; sleep 30", "waiting for the lock", "waiting for the lock"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := run(t, execProbeOf(t, script(t, c.lines), fmt.Sprintf("exit_codes = %q", c.keys)), 2*time.Second)
			if c.wantErr == "" && err != nil || c.wantErr != "" && (err == nil || !strings.Contains(err.Error(), c.wantErr)) {
				t.Errorf("error %v, want %q", err, c.wantErr)
			}
			if !strings.HasSuffix(r.Detail, c.wantDetail) || len(r.Detail) > maxDetail {
				t.Errorf("detail %q, want %q in at most %d bytes", r.Detail, c.wantDetail, maxDetail)
			}
		})
	}
}

// Faults: C20, P1.
func TestExecOutputMustMatchAndMustNot(t *testing.T) {
	long := "head -c 5000 /dev/zero | tr '\\0' x"
	for _, c := range []struct{ name, lines, keys, want string }{
		{"matches", "echo state: clean", `expect = "clean|idle"`, ""},
		{"does not", "echo state: dirty", `expect = "clean|idle"`, `its output "state: dirty" does not match expect "clean|idle"`},
		{"nothing printed", "true", `expect = "clean"`, `its output "" does not match`},
		{"nothing printed but a reason", "echo no such array >&2", `expect = "clean"`, `its output "" does not match expect "clean": no such array`},
		{"no number but a reason", "echo no such array >&2", "parse = true", "its output is empty, want a number: no such array"},
		{"a word and a reason", "echo n/a; echo no such array >&2", "parse = true", `its output is not a decimal number: "n/a": no such array`},
		{"must not, fine", "echo state: clean", `expect_not = "degraded|failed"`, ""},
		{"must not, nothing printed", "true", `expect_not = "degraded"`, ""},
		{"must not, does", "echo a; echo array degraded", `expect_not = "(?i)DEGRADED.*"`, `its output matches expect_not "(?i)DEGRADED.*": "degraded"`},
		{"both", "echo clean but degraded", "expect = \"clean\"\nexpect_not = \"degraded\"", "matches expect_not"},
		{"only standard output", "echo degraded >&2", `expect_not = "degraded"`, ""},
		{"empty text only", "true", `expect = "^$"`, ""},
		{"beginning of a long one", "echo ok; " + long, `expect = "^ok"`, ""},
		{"end of a long one", long + "; echo ok", `expect = "ok"`, "the first 4096 of 5003 bytes of its output do not match"},
		{"must not, in a long one", "echo bad; " + long, `expect_not = "bad"`, "matches expect_not"},
		{"must not, unknown in a long one", long + "; echo bad", `expect_not = "bad"`, "its output is 5004 bytes long, of which expect_not sees the first 4096"},
		{"a failure stays one", "echo clean; exit 1", `expect = "clean"`, "exit status 1"},
		{"a warning that must not be", "echo degraded; exit 1", "exit_codes = \"nagios\"\nexpect_not = \"degraded\"", "matches expect_not"},
		{"with a number", "echo 12", "parse = true\nexpect_not = \"^1\"", "matches expect_not"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := run(t, execProbeOf(t, script(t, c.lines), c.keys), 20*time.Second)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestArgumentsAndVariablesStaySecret is the exec part of the canary test.
// Faults: G28.
func TestArgumentsAndVariablesStaySecret(t *testing.T) {
	p := execProbeOf(t, script(t, `echo "password is $DB_PASSWORD" >&2`, "exit 1"),
		`args = ["--password", "canary-argument"]`, `env = ["DB_PASSWORD=canary-variable"]`)
	r, err := fails(t, p, "(+2 args)")
	for _, text := range []string{err.Error(), r.Detail, fmt.Sprintf("%+v %#v", p, p)} {
		if strings.Contains(text, "canary-variable") && !strings.HasPrefix(text, "&{") {
			t.Errorf("the variable is in %q", text)
		}
	}
	if strings.Contains(err.Error()+r.Detail, "canary") {
		t.Errorf("a secret is in %q or %q", err, r.Detail)
	}
}

func TestExecKeysAreChecked(t *testing.T) {
	refusedWith(t, "exec", map[string]string{
		"":                                           "command: this key is required",
		"command = \"true\"\nagrs = []":              "agrs: unknown key",
		"command = \"true\"\nexit_codes = \"n\"":     `exit_codes: "n" is unknown`,
		"command = \"true\"\ndir = \"x\"":            "dir: \"x\" is not an absolute path",
		"command = \"true\"\nenv = [\"X\"]":          "env: entry 1 is not NAME=VALUE",
		"command = \"true\"\npass_env = [\"X=1\"]":   "pass_env: entry 1 is not the name",
		"command = \"true\"\nargs = [\"a\\u0000b\"]": "a NUL byte",
		"command = \"true\"\nexpect = \"(\"":         "expect: ",
		"command = \"true\"\nexpect_not = \"(\"":     "expect_not: ",
	})
}

func TestExecRelativeCommandMeansWhereTheServiceWasStarted(t *testing.T) {
	file := script(t, "exit 0")
	t.Chdir(filepath.Dir(file))
	p := execProbeOf(t, "./check.sh")
	t.Chdir("/")
	ok(t, p)
}

// Faults: G20.
func TestWholeNumbersAreNumbers(t *testing.T) {
	r, _ := fails(t, execProbeOf(t, "false", "parse = true", "errval = 2"), "exit status 1")
	if r.Value != 2 {
		t.Errorf("shown value %v, want 2", r.Value)
	}
}

// BenchmarkExecProbe runs /bin/true with 4 concurrent probes and reports the CPU time
// of 1,000 runs, including that of the children. The goal is 0.9 s and 2,000 runs a
// second.
func BenchmarkExecProbe(b *testing.B) {
	p := execProbeOf(b, "/bin/true")
	begin, cpu := time.Now(), testkit.CPUTimeWithChildren(b)
	b.SetParallelism(2)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.Probe(context.Background()); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric((testkit.CPUTimeWithChildren(b)-cpu).Seconds()/float64(b.N)*1000, "CPU-s/1000")
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "runs/s")
}

// BenchmarkExecBare does the same with os/exec and without any protection.
func BenchmarkExecBare(b *testing.B) {
	begin, cpu := time.Now(), testkit.CPUTimeWithChildren(b)
	b.SetParallelism(2)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := exec.CommandContext(b.Context(), "/bin/true").Output(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric((testkit.CPUTimeWithChildren(b)-cpu).Seconds()/float64(b.N)*1000, "CPU-s/1000")
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "runs/s")
}
