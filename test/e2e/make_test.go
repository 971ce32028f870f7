package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/test/program"
)

// planned returns the commands that a target of the Makefile would run.
func planned(t *testing.T, target string) []string {
	t.Helper()
	cmd := exec.Command("make", "-n", target)
	// A make that runs these tests must not change what this one prints.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS") })
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.Split(string(out), "\n")
}

// TestMakeChecksFirstWhatIsMissing plans the targets that need servers.
// Faults: U10.
func TestMakeChecksFirstWhatIsMissing(t *testing.T) {
	t.Parallel()
	for target, command := range map[string]string{"test": "gcc gcc", "test-short": "gcc gcc", "nightly": "gcc gcc", "faults": "gcc gcc", "bench-peers": "prometheus-blackbox-exporter"} {
		if first := planned(t, target)[0]; !strings.HasPrefix(first, "tools/need.sh "+command) {
			t.Errorf("make %s begins with %q", target, first)
		}
	}
}

// TestMissingToolsAreNamedInOneLine has two commands missing, for a user who is not
// root.
// Faults: U10.
func TestMissingToolsAreNamedInOneLine(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	program.WriteIn(t, bin, "id", "#!/bin/sh\necho 1000\n", 0o700)
	cmd := exec.Command("tools/need.sh", "sh", "dash", "+", "no-such-server", "server", "server-data", "+", "no-such-shell", "shell")
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	const want = "missing: no-such-server no-such-shell; install them first (on Debian: sudo apt-get install --no-install-recommends server server-data shell)\n"
	if err == nil || string(out) != want {
		t.Errorf("%v, got\n%swant\n%s", err, out, want)
	}
	if out, err := exec.Command("tools/need.sh", "sh", "dash", "+", "cat", "coreutils").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("nothing is missing: %v, %s", err, out)
	}
}

// TestDocumentsRunTheImageThatMakeBuilds compares the tags.
// Faults: U10.
func TestDocumentsRunTheImageThatMakeBuilds(t *testing.T) {
	t.Parallel()
	if plan := strings.Join(planned(t, "image"), "\n"); !strings.Contains(plan, " -t monitor-srv .") {
		t.Errorf("make image runs %s", plan)
	}
	run := regexp.MustCompile(`docker run (?:--network host )?(\S+)`)
	for _, page := range []string{"README.md", "docs/operating.md"} {
		found := run.FindAllStringSubmatch(string(testkit.ReadFile(t, page)), -1)
		if len(found) == 0 {
			t.Errorf("%s runs no image", page)
		}
		for _, f := range found {
			if f[1] != "monitor-srv" {
				t.Errorf("%s: %s", page, f[0])
			}
		}
	}
}
