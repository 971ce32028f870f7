package action

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// The notifications that tests send.
var (
	testSince = time.Date(2026, 11, 21, 10, 0, 0, 0, time.FixedZone("JST", 9*3600))
	testFail  = Notification{
		Monitor: "db", Host: "host1", Event: Fail, Incident: "01ABC", Seq: 7, Value: 1.5, Error: "no answer",
		Since: testSince, Time: testSince, Version: "1.2.3", Failures: 3,
	}
	testRecover = Notification{
		Monitor: "db", Host: "host1", Event: Recover, Incident: "01ABC", Seq: 8, Value: 0.25,
		Since: testSince, Time: testSince.Add(90500 * time.Millisecond), Duration: 90500 * time.Millisecond, Version: "1.2.3",
	}
	testInit   = Notification{Monitor: "db", Host: "host1", Event: Init, Time: testSince, Version: "1.2.3"}
	testRepeat = Notification{
		Monitor: "db", Host: "host1", Event: Repeat, Incident: "01ABC", Seq: 9, Value: 2, Since: testSince,
		Time: testSince.Add(time.Hour), Version: "1.2.3", Failures: 60,
	}
)

// seen sends one notification and returns the variables that the program saw.
func seen(t *testing.T, n Notification, keys string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "env")
	a := build(t, "exec", testkit.ShellKeys("cat /proc/self/environ > "+file)+keys)
	if err := a.Notify(t.Context(), []Notification{n}); err != nil {
		t.Fatal(err)
	}
	text := testkit.ReadFile(t, file)
	vars := map[string]string{}
	for pair := range strings.SplitSeq(strings.TrimSuffix(string(text), "\x00"), "\x00") {
		name, value, _ := strings.Cut(pair, "=")
		vars[name] = value
	}
	return vars
}

// Faults: G47.
func TestVariablesOfProgramsAreTheDocumentedOnes(t *testing.T) {
	for name, c := range map[string]struct {
		n    Notification
		want map[string]string
		none []string
	}{
		"init": {testInit, map[string]string{"GOMA_MONITOR": "db", "GOMA_EVENT": "init", "GOMA_VERSION": "1.2.3", "MONITOR_EVENT": "init"}, []string{"GOMA_VALUE", "GOMA_DURATION"}},
		"fail": {testFail, map[string]string{
			"GOMA_MONITOR": "db", "GOMA_EVENT": "fail", "GOMA_VALUE": "1.5", "GOMA_VERSION": "1.2.3",
			"MONITOR_MONITOR": "db", "MONITOR_EVENT": "fail", "MONITOR_VALUE": "1.5", "MONITOR_VERSION": "1.2.3",
			"MONITOR_INCIDENT": "01ABC", "MONITOR_ERROR": "no answer", "MONITOR_HOST": "host1", "MONITOR_FAILURES": "3", "MONITOR_SEQ": "7",
			"MONITOR_SINCE": "2026-11-21T01:00:00Z", "MONITOR_TIME": "2026-11-21T01:00:00Z",
		}, []string{"GOMA_DURATION", "MONITOR_DURATION"}},
		"recover": {testRecover, map[string]string{"GOMA_EVENT": "recover", "GOMA_DURATION": "90", "MONITOR_DURATION": "90", "MONITOR_INCIDENT": "01ABC"}, []string{"GOMA_VALUE", "MONITOR_VALUE"}},
		"repeat":  {testRepeat, map[string]string{"GOMA_EVENT": "fail", "MONITOR_EVENT": "repeat", "GOMA_VALUE": "2"}, []string{"GOMA_DURATION"}},
	} {
		t.Run(name, func(t *testing.T) {
			vars := seen(t, c.n, "")
			for name, want := range c.want {
				if vars[name] != want {
					t.Errorf("%s: got %q, want %q", name, vars[name], want)
				}
			}
			for _, name := range c.none {
				if _, ok := vars[name]; ok {
					t.Errorf("%s is set", name)
				}
			}
		})
	}
}

// Faults: G40.
func TestProgramSeesOnlyItsOwnVariables(t *testing.T) {
	t.Setenv("TOKEN_OF_THE_DAEMON", "canary")
	vars := seen(t, testFail, `env = ["HOGE=123", "GOMA_EVENT=lie", "LD_X=a=b"]`)
	if vars["HOGE"] != "123" || vars["LD_X"] != "a=b" || vars["GOMA_EVENT"] != "fail" {
		t.Errorf("got %q", vars)
	}
	for name := range vars {
		if strings.HasPrefix(name, "GOMA_") || strings.HasPrefix(name, "MONITOR_") || strings.HasPrefix(name, "LC_") {
			continue
		}
		if !slices.Contains([]string{"PATH", "HOME", "USER", "LANG", "TZ", "HOGE", "LD_X", "PWD", "OLDPWD", "SHLVL", "_"}, name) {
			t.Errorf("%s is visible", name)
		}
	}
}

// Faults: T48.
func TestVariablesCarryAnyTextOfTheNotice(t *testing.T) {
	n := testFail
	n.Monitor, n.Value, n.Error = "a\x00b", math.NaN(), "two\nlines \x00\x1b[31m "+strings.Repeat("x", 1<<20)
	vars := seen(t, n, "")
	if vars["GOMA_MONITOR"] != "ab" || vars["GOMA_VALUE"] != "NaN" {
		t.Errorf("got %q and %q", vars["GOMA_MONITOR"], vars["GOMA_VALUE"])
	}
	if got := vars["MONITOR_ERROR"]; !strings.HasPrefix(got, "two\nlines [31m xxx") || len(got) > maxVariable {
		t.Errorf("got %d bytes: %.40q", len(got), got)
	}
}

func TestExecFailureTellsWhyWithoutArguments(t *testing.T) {
	for name, c := range map[string]struct{ keys, want string }{
		"exit":    {testkit.ShellKeys("echo 'disk full' >&2; exit 3; # canary-in-args"), "running exec /bin/sh (+2 args): exit status 3: disk full"},
		"missing": {"command = \"/no/such/program\"\nargs = [\"canary-in-args\"]", `running exec /no/such/program (+1 args): starting "/no/such/program" in "/": no such file or directory`},
		"env":     {testkit.ShellKeys("echo $TOKEN >&2; exit 1") + "env = [\"TOKEN=canary-in-env\"]", "running exec /bin/sh (+2 args): exit status 1: <secret>"},
	} {
		t.Run(name, func(t *testing.T) {
			err := build(t, "exec", c.keys).Notify(t.Context(), []Notification{testFail})
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// Faults: G10.
func TestDebugLogsOutputAndNeverPanics(t *testing.T) {
	for _, exit := range []string{"0", "4"} {
		var log strings.Builder
		env := testEnv
		env.Log = testkit.InfoTo(&log)
		a, err := Builtin()["exec"](testkit.DecodeTOML(testkit.ShellKeys("echo to out; echo to err $TOKEN >&2; exit "+exit)+"debug = true\nenv = [\"TOKEN=canary-secret\"]"), env)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Notify(t.Context(), []Notification{testFail}); (err == nil) != (exit == "0") {
			t.Errorf("exit %s: got %v", exit, err)
		}
		if text := log.String(); !strings.Contains(text, "to out") || !strings.Contains(text, "to err <secret>") || !strings.Contains(text, "exit="+exit) {
			t.Errorf("exit %s: got log %s", exit, text)
		}
	}
}

// Faults: T46.
func TestProgramThatNeverEndsIsKilled(t *testing.T) {
	file, mark := filepath.Join(t.TempDir(), "runs"), fmt.Sprint("TEST_MARK=never-ends-", os.Getpid())
	a := build(t, "exec", testkit.ShellKeys(testkit.UnstoppableScript(file))+"env = [\""+mark+"\"]\ntimeout = \"500ms\"")
	var err error
	testkit.TakesAtMost(t, 2*time.Second, func() { err = a.Notify(t.Context(), []Notification{testFail}) })
	if err == nil || !strings.Contains(err.Error(), "killed after") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the program did not get to start others: %v", err)
	}
	testkit.Until(t, func() bool { return len(testkit.ProcessesWithEnv(t, mark)) == 0 })
}

func TestExecBackgroundLivesOnAsWithGoma(t *testing.T) {
	file := filepath.Join(t.TempDir(), "done")
	a := build(t, "exec", testkit.ShellKeys("(sleep 0.3; touch "+file+") >/dev/null 2>&1 &"))
	if err := a.Notify(t.Context(), []Notification{testFail}); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, func() bool { _, err := os.Stat(file); return err == nil })
}

// Faults: T46.
func TestProgramsOfAllReceiversAreBounded(t *testing.T) {
	dir := t.TempDir()
	exec := Builtin()["exec"]
	testkit.Go(3*maxPrograms, func(int) {
		a, err := exec(testkit.DecodeTOML(testkit.ShellKeys("touch "+dir+"/$$; ls "+dir+" | wc -l; sleep 0.1; ls "+dir+" | wc -l >> "+dir+".most; rm "+dir+"/$$")), testEnv)
		if err == nil {
			err = a.Notify(t.Context(), []Notification{testFail})
		}
		if err != nil {
			t.Error(err)
		}
	})()
	text := testkit.ReadFile(t, dir+".most")
	most := 0
	for _, f := range strings.Fields(string(text)) {
		var n int
		if _, err := fmt.Sscan(f, &n); err != nil {
			t.Fatal(err)
		}
		most = max(most, n)
	}
	if most > maxPrograms || most < 2 {
		t.Errorf("%d programs ran at a time, want at most %d", most, maxPrograms)
	}
}

func TestActionsRefuseNothingToTell(t *testing.T) {
	for kind, keys := range map[string]string{
		"exec": testkit.ShellKeys("true"), "http": `url_fail = "http://localhost/"`, "mail": `from = "a@b.c"`,
		"notify": `url = "discord://token@id"`, "publish": ``,
	} {
		if err := build(t, kind, keys).Notify(context.Background(), nil); err == nil {
			t.Errorf("%s: got no error", kind)
		}
	}
}
