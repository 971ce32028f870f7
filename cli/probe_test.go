package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// The kinds that need the registry or an instance say so when there is none.
func TestTriedProbesThatNeedAnInstanceSaySo(t *testing.T) {
	stdout, _, code := monitorSrv(t, testkit.AskingMonitors("5s"), "--registry=memory", "probe", "-")
	for _, want := range []string{
		`check "go.micro.srv.monitor.broker" of go.micro.srv.monitor: no instance of go.micro.srv.monitor, which receives what services publish, is found in the registry memory: start one, or name another registry with --registry and --registry_address`,
		`heap_in_use of go.micro.srv.monitor: no instance of go.micro.srv.monitor,`,
		`go.micro.srv.monitor: no node is registered`,
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("nothing says: %s", want)
		}
	}
	if code != ExitFailed || strings.Count(stdout, "FAILING") != 3 {
		t.Errorf("exit %d\n%s", code, stdout)
	}
	closed := closedAddress(t)
	stdout, _, code = monitorSrv(t, testkit.AskingMonitors("5s"), "--registry_address", closed, "probe", "-", "e")
	if want := "consul at " + closed + ": connection refused; --registry and --registry_address name another registry"; code != ExitFailed || !strings.Contains(stdout, want) {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}

// A registry that never answers takes no longer than the monitor's timeout.
func TestTriedProbesAreBounded(t *testing.T) {
	l := testkit.Listen(t) // it takes connections, and nobody answers
	began := time.Now()
	stdout, _, code := monitorSrv(t, testkit.AskingMonitors("500ms"), "--registry_address", l.Addr().String(), "probe", "-")
	if took := time.Since(began); code != ExitFailed || strings.Count(stdout, "FAILING") != 3 || took > 6*time.Second {
		t.Errorf("exit %d after %v\n%s", code, took, stdout)
	}
}

const trials = `
[[monitor]]
name = "well"
max = 100.0
probe = { type = "http", url = "%[1]s/42", parse = true }
[[monitor.actions]]
receiver = "elsewhere"

[[monitor]]
name = "beyond"
max = 41.0
probe = { type = "http", url = "%[1]s/42", parse = true }

[[monitor]]
name = "doubtful"
max = 100.0
warn_max = 41.0
probe = { type = "http", url = "%[1]s/42", parse = true }

[[monitor]]
name = "wrong"
probe = { type = "http", url = "%[1]s/wrong" }
[monitor.filter]
type = "consecutive"

[[monitor]]
name = "turns"
max = 1.0
probe = { type = "http", url = "%[1]s/42", parse = true }
[monitor.filter]
type = "rate"

[[monitor]]
name = "misspelt"
intervall = 10
probe = { type = "tcp", address = "127.0.0.1:1" }
`

// The results say what one run shows: verdict, value, why, phases, and that a filter
// does not show.
func TestTryTellsWhatOneRunShows(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wrong" {
			w.WriteHeader(http.StatusTeapot)
		}
		fmt.Fprint(w, strings.TrimPrefix(r.URL.Path, "/"))
	}))
	defer web.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "a.toml")
	write(t, file, fmt.Sprintf(trials, web.URL))
	stdout, stderr, code := monitorSrv(t, "", "probe", dir)
	if want := "monitor-srv: 5 monitors probed, 2 failed; 1 problem in " + dir + "\n"; code != ExitFailed || !strings.HasSuffix(stderr, want) {
		t.Errorf("exit %d, %s", code, stderr)
	}
	for _, want := range []string{
		`a.toml:6: warning: monitor "well": receiver "elsewhere" is not defined in any file`,
		`monitor "misspelt": intervall: unknown key; did you mean "interval"?`,
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("nothing says: %s\n%s", want, stderr)
		}
	}
	var said []string
	for line := range strings.Lines(stdout) {
		said = append(said, strings.Join(strings.Fields(line), " "))
	}
	for _, want := range []string{
		"OK well value 42", "FAILING beyond value 42", "value 42 is above max 41", "WARNING doubtful value 42", "value 42 is above warn_max 41",
		"FAILING wrong value -", "filter consecutive: one run does not show what it makes of several values",
		"UNKNOWN turns value 42", "filter rate: one run",
	} {
		if !strings.Contains(strings.Join(said, "\n"), want) {
			t.Errorf("nothing says %q\n%s", want, stdout)
		}
	}
	if n := strings.Count(stdout, "first byte"); n != 5 {
		t.Errorf("%d of 5 show their phases\n%s", n, stdout)
	}
	stdout, stderr, code = monitorSrv(t, "", "-o", "json", "probe", file, "doubtful")
	var results []result
	if err := json.Unmarshal([]byte(stdout), &results); err != nil || code != ExitOK || stderr != "" {
		t.Fatalf("exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if r := results[0]; len(results) != 1 || r.Verdict != "WARNING" || *r.Value != 42 || r.Reason == "" || r.Phases["first_byte"] <= 0 {
		t.Errorf("%+v", results)
	}
}

// Exit codes and sentences for what cannot be tried.
func TestTryWhatIsNotThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.toml")
	write(t, file, "[[monitor]]\nname = \"a\"\nprobe = { type = \"tcp\" }\n[[monitor]]\nname = \"b\"\nprobe = { type = \"exec\", command = \"/bin/true\" }\n")
	for _, c := range []struct {
		stdin, args, want string
		code              int
	}{
		{"", "probe", "give \"probe\" as in: monitor-srv probe FILE|DIR|- [NAME]", ExitUsage},
		{"", "probe " + file + " b -o yaml", "--output \"yaml\" is not known: give one of table, json", ExitUsage},
		{"", "probe " + file + " nobody", "defines no monitor \"nobody\"", ExitFailed},
		{"", "probe " + file + " a", "nothing is probed: 1 problem in", ExitFailed},
		{"", "probe " + file + " b", "", ExitOK},
		{"", "probe " + file + ".not", "no such file", ExitFailed},
		{"", "probe -", "standard input defines no monitor", ExitFailed},
		{"x", "probe -", "standard input:1: ", ExitFailed},
		{"", "check", "give \"check\" as in", ExitUsage},
		{"", "check -", "no monitor and no receiver in standard input", ExitFailed},
		{"[[monitor]]", "check -", "2 problems in standard input", ExitFailed},
		{strings.Repeat("#", 5<<20), "check -", "", ExitFailed},
	} {
		_, stderr, code := monitorSrv(t, c.stdin, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.want) || c.want == "" && stderr != "" {
			t.Errorf("%s: exit %d, %q", c.args, code, stderr)
		}
	}
}

// Warnings fail only if they are asked to.
func TestCheckIsStrictIfAsked(t *testing.T) {
	file := testkit.NewFile(t, "a.toml", "[[monitor]]\nname = \"a\"\nprobe = { type = \"exec\", command = \"/bin/true\", parse = true }\n")
	stdout, stderr, code := monitorSrv(t, "", "check", file)
	if code != ExitOK || !strings.Contains(stdout, ":1: warning: monitor \"a\":") || !strings.HasSuffix(stdout, "\n1 monitor and 0 receivers: fine\n") || stderr != "" {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	stdout, stderr, code = monitorSrv(t, "", "--strict", "check", file)
	if code != ExitFailed || !strings.Contains(stderr, "1 warning in "+file+", and --strict") || strings.Contains(stdout, "fine") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

// With fewer than no retries nothing would be asked, and no error reported.
func TestTriedProbesRefuseWrongFlags(t *testing.T) {
	stdout, stderr, code := monitorSrv(t, testkit.AskingMonitors("1s"), "--registry=memory", "--client_retries=-1", "probe", "-")
	if code != ExitUsage || stdout != "" || !strings.Contains(stderr, "--client_retries -1 is out of range: give 0 or more") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
}

// What is asked for as JSON is JSON, also where nothing can be tried.
func TestTriedProbesAreAlwaysJSON(t *testing.T) {
	for stdin, why := range map[string]string{
		"":                            "standard input defines no monitor",
		"[[monitor]]\nname = \"a\"\n": "nothing is probed: 1 problem in standard input",
	} {
		stdout, stderr, code := monitorSrv(t, stdin, "-o", "json", "probe", "-")
		if code != ExitFailed || stdout != "[]\n" || !strings.Contains(stderr, why) {
			t.Errorf("%q: exit %d, %q, %s; want [] and %s", stdin, code, stdout, stderr, why)
		}
	}
}

// TestCheckWithoutSecrets checks a file whose secrets and certificates are elsewhere.
// Faults: U13.
func TestCheckWithoutSecrets(t *testing.T) {
	var text strings.Builder
	for name, keys := range map[string]string{
		"http": "url = \"http://a/\"\nbearer_file = \"/none\"", "http2": "url = \"http://a/\"\nuser = \"u\"\npassword_env = \"NO_SUCH_SECRET\"",
		"http3": "url = \"https://a/\"\ntls = { ca_file = \"/none\" }", "tcp": "address = \"a:1\"\ntls = { cert_file = \"/none\", key_file = \"/none\" }",
		"redis": "address = \"a:1\"\npassword_file = \"/none\"", "postgres": "dsn_file = \"/none\"", "mysql": "dsn_env = \"NO_SUCH_SECRET\"",
		"grpc": "address = \"a:1\"\ntls = { ca_file = \"/none\" }",
	} {
		kind := strings.TrimRight(name, "0123456789")
		fmt.Fprintf(&text, "[[monitor]]\nname = %q\n[monitor.probe]\ntype = %q\n%s\n", name, kind, keys)
	}
	const receivers = `[[receiver]]
name = "mail"
type = "mail"
from = "a@b.c"
to = ["d@e.f"]
server = "a:25"
user = "u"
password_file = "/none"
[[receiver]]
name = "chat"
type = "notify"
url_env = "NO_SUCH_SECRET"
`
	file := testkit.NewFile(t, "a.toml", text.String()+receivers)
	if stdout, stderr, code := monitorSrv(t, "", "check", file); code != ExitFailed || !strings.Contains(stderr, "10 problems in ") {
		t.Errorf("check: exit %d\n%s%s", code, stdout, stderr)
	}
	stdout, stderr, code := monitorSrv(t, "", "check", "--no_secrets", "--strict", "-o", "json", file)
	var report checked
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != ExitOK || report.Monitors != 8 || report.Receivers != 2 || len(report.Problems) != 0 {
		t.Errorf("check --no_secrets: exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
	wrong := testkit.NewFile(t, "a.toml", "[[monitor]]\nname = \"a\"\nprobe = { type = \"redis\", adress = \"a:1\", password_file = \"/none\" }\n")
	if stdout, _, code := monitorSrv(t, "", "check", "--no_secrets", wrong); code != ExitFailed || !strings.Contains(stdout, "adress: unknown key") {
		t.Errorf("another mistake: exit %d\n%s", code, stdout)
	}
	if stdout, _, code := monitorSrv(t, "", "check", "--no_secrets", "/no/such/file"); code != ExitFailed || !strings.Contains(stdout, "/no/such/file") {
		t.Errorf("no file: exit %d, %s", code, stdout)
	}
}

// TestStrictProbesFailOnWarnings probes a value between the two thresholds.
// Faults: U13.
func TestStrictProbesFailOnWarnings(t *testing.T) {
	const text = "[[monitor]]\nname = \"a\"\nwarn_max = 1\nmax = 9\n[monitor.probe]\ntype = \"exec\"\ncommand = \"/bin/echo\"\nargs = [\"5\"]\nparse = true\n"
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"probe", "-"}, ExitOK, ""},
		{[]string{"probe", "--strict", "-"}, ExitFailed, "1 monitor probed, 1 warning, and --strict"},
	} {
		stdout, stderr, code := monitorSrv(t, text, c.args...)
		if code != c.code || !strings.HasPrefix(stdout, "WARNING  a") || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit %d\n%s%s", c.args, code, stdout, stderr)
		}
	}
}
