package e2e

import (
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/service"
)

const unitFile = "deploy/monitor-srv.service"

// analyze runs systemd-analyze, which needs no systemd that runs.
func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("this test needs the program systemd-analyze: run \"make deps\" (%v)", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(cmd.Environ(), "LC_ALL=C", "SYSTEMD_PAGER=cat", "SYSTEMD_COLORS=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// exposure returns systemd's rating of a unit: 0 is safe, 10 is not.
func exposure(t *testing.T, file string) float64 {
	t.Helper()
	out, err := analyze(t, "security", "--offline=true", file)
	m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no rating of %s: %v\n%s", file, err, out)
	}
	rating, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	if rating > 2 {
		t.Log(out)
	}
	return rating
}

func TestUnitIsRatedTwoAtMost(t *testing.T) {
	t.Parallel()
	if rating := exposure(t, unitFile); rating > 2 {
		t.Errorf("systemd rates the unit %.1f, want at most 2.0", rating)
	}
	bare := filepath.Join(t.TempDir(), filepath.Base(unitFile))
	testkit.ReplaceFile(t, bare, "[Service]\nExecStart=/bin/true\n")
	if rating := exposure(t, bare); rating < 5 {
		t.Errorf("systemd rates a unit without any protection %.1f: the rating says nothing", rating)
	}
}

// unitSettings returns the values of each setting of the unit, in order.
func unitSettings(t *testing.T) map[string][]string {
	t.Helper()
	text := testkit.ReadFile(t, unitFile)
	settings := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			settings[key] = append(settings[key], value)
		}
	}
	return settings
}

func TestUnitSaysWhatSystemdAndTheServiceUnderstand(t *testing.T) {
	t.Parallel()
	text := testkit.ReadFile(t, unitFile)
	// The program is not installed here.
	installed := filepath.Join(t.TempDir(), filepath.Base(unitFile))
	testkit.ReplaceFile(t, installed, strings.Replace(string(text), "ExecStart=/usr/local/bin/monitor-srv", "ExecStart=/bin/true", 1))
	if out, err := analyze(t, "verify", "--man=no", installed); err != nil || strings.Contains(out, filepath.Base(unitFile)) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	settings := unitSettings(t)
	for key, want := range map[string]string{
		"KillMode": "control-group", "Delegate": "yes", "TasksMax": "512", "OOMPolicy": "continue",
		"ExecStart": "/usr/local/bin/monitor-srv", "StateDirectory": "monitor-srv", "NoNewPrivileges": "yes",
	} {
		if got := settings[key]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q once", key, got, want)
		}
	}
	known := slices.Collect(maps.Values(flagsOf(t)))
	given := make(map[string]string)
	for _, pair := range settings["Environment"] {
		name, value, _ := strings.Cut(pair, "=")
		given[name] = value
		if strings.HasPrefix(name, "MONITOR_") && !slices.Contains(known, name) {
			t.Errorf("%s is a variable of no flag", name)
		}
	}
	if given["MONITOR_CONFIG_DIR"] != service.DefaultConfigDir || given["MONITOR_STATE_DIR"] != "/var/lib/monitor-srv" {
		t.Errorf("got directories %v", given)
	}
}

// The unit and the composition leave the limit to the program, which knows how many
// entries it may hold: a fixed one would have the collector run without end where
// --max_entries is raised.
// Faults: I4.
func TestShippedFilesSetNoMemoryLimit(t *testing.T) {
	for _, file := range []string{unitFile, "deploy/compose.yaml", "Dockerfile"} {
		text := testkit.ReadFile(t, file)
		if strings.Contains(string(text), "GOMEMLIMIT") {
			t.Errorf("%s sets GOMEMLIMIT", file)
		}
	}
}
