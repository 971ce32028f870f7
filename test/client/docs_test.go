package client_test

import (
	"encoding/json"
	"fmt"
	"go/format"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// page returns docs/publishing.md.
func page(t *testing.T) string {
	t.Helper()
	text := testkit.ReadFile(t, "../../docs/publishing.md")
	return string(text)
}

// blocks returns the code blocks of the page in one language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(page(t), -1) {
		found = append(found, m[1])
	}
	if len(found) == 0 {
		t.Fatalf("docs/publishing.md has no %s", language)
	}
	return found
}

func TestProgramsOfTheDocsCompile(t *testing.T) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := map[string]map[string]string{"Replace": {}}
	overlayFile := filepath.Join(dir, "overlay.json")
	args := []string{"list", "-export", "-overlay=" + overlayFile} // compiles, but does not link
	for i, code := range blocks(t, "go") {
		if !strings.HasPrefix(code, "package main\n") {
			continue
		}
		if formatted, err := format.Source([]byte(code)); err != nil || string(formatted) != code {
			t.Errorf("program %d is not formatted (%v); gofmt gives:\n%s", i, err, formatted)
		}
		file := filepath.Join(dir, fmt.Sprint(i, ".go"))
		testkit.WriteFile(t, file, code)
		// The program is in a folder that only the compiler sees.
		name := fmt.Sprint("docprogram", i)
		overlay["Replace"][filepath.Join(here, name, "main.go")] = file
		args = append(args, "./"+name)
	}
	if len(args) != 6 {
		t.Fatalf("%d programs, want 3", len(args)-3)
	}
	wire, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	testkit.WriteFile(t, overlayFile, wire)
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Errorf("go %v: %v\n%s", args, err, out)
	}
}

func TestDocsNameEveryOptionAndLimit(t *testing.T) {
	text := page(t)
	source := testkit.ReadFile(t, "../../health/options.go")
	options := regexp.MustCompile(`(?m)^func (With\w+)\(`).FindAllStringSubmatch(string(source), -1)
	if len(options) < 9 {
		t.Fatalf("%d options", len(options))
	}
	for _, option := range options {
		if !strings.Contains(text, "| `"+option[1]+"` |") {
			t.Errorf("docs/publishing.md does not name %s", option[1])
		}
	}
	for _, fact := range []string{
		fmt.Sprintf("A reporter takes %d checks", health.MaxChecks),
		fmt.Sprintf("Beyond %d endpoints", health.MaxEndpoints-2),
		fmt.Sprintf("name and version of a service | %d bytes", health.MaxServiceName),
		fmt.Sprintf("node id, check id | %d bytes", health.MaxCheckID),
		fmt.Sprintf("description, error, info | %d KiB", health.MaxText>>10),
		fmt.Sprintf("%d pairs, keys of %d bytes, values of %d KiB, %d KiB in all",
			health.MaxResults, health.MaxResultKey, health.MaxResultValue>>10, health.MaxResultsTotal>>10),
		fmt.Sprintf("one event | %d KiB", health.MaxEventSize>>10),
		fmt.Sprintf("| `WithInterval` | %.0f s |", health.DefaultInterval.Seconds()),
		fmt.Sprintf("| `WithPublishTimeout` | %.0f s |", health.DefaultPublishTimeout.Seconds()),
		fmt.Sprintf("| `WithQueueSize` | %d |", health.DefaultQueueSize),
		"`" + health.TopicHealthCheck + "`", "`" + health.TopicStatus + "`", "`" + health.TopicStats + "`",
	} {
		if !strings.Contains(text, fact) {
			t.Errorf("docs/publishing.md does not say %q", fact)
		}
	}
}
