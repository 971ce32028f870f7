//go:build go1.25

package health

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/microhq/monitor-srv/"

// allowed is all that the package itself may import besides the standard library.
var allowed = []string{
	module + "proto/health",
	"go-micro.dev/v4/client",
	"go-micro.dev/v4/server",
	"google.golang.org/protobuf/proto",
}

// banned may not be linked into the services of others by this package, at
// whatever distance.
var banned = []struct{ prefix, reason string }{
	{"go-micro.dev/v4/api", "it links an ACME client and a WebSocket library"},
	{"go-micro.dev/v4/config", "a library has no configuration of its own"},
	{"go-micro.dev/v4/store", "a library keeps nothing"},
	{"go-micro.dev/v4/util/cmd", "it parses flags, links go-git, and belongs to main"},
	{"go-micro.dev/v4/runtime", "it links go-git"},
	{"github.com/go-micro/plugins", "the service chooses its registry and broker"},
	{"github.com/hashicorp/consul", "the service chooses its registry"},
	{"github.com/nats-io", "the service chooses its broker"},
	{"github.com/prometheus", "figures leave on the bus"},
	{"github.com/spf13", "a library has no command line"},
	{"github.com/urfave/cli", "a library has no command line"},
	{"github.com/BurntSushi/toml", "a library reads no files"},
	{module + "proto/monitor", "publishers do not ask"},
	{module + "store", "belongs to the monitoring service"},
	{module + "handler", "belongs to the monitoring service"},
	{module + "guard", "belongs to the monitoring service"},
	{module + "monitor", "belongs to the monitoring service"},
	{module + "probe", "belongs to the monitoring service"},
	{module + "action", "belongs to the monitoring service"},
	{module + "web", "belongs to the monitoring service"},
}

// bannedExactly are packages whose children are allowed.
var bannedExactly = []struct{ path, reason string }{
	{"go-micro.dev/v4", "it replaces package-level defaults and belongs to main"},
	{strings.TrimSuffix(module, "/"), "it is the monitoring service"},
}

// required is all that go.mod may require by itself. Requirements reach the users of
// the module, also those of its tests.
var required = []string{module + "proto", "go-micro.dev/v4", "google.golang.org/protobuf"}

func TestRequirementsStayFew(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\ngo 1.23.0\n") {
		t.Error("the go line is not 1.23.0: whoever imports the package would have to raise theirs")
	}
	direct := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "\t") || strings.Contains(line, "// indirect") {
			continue
		}
		direct++
		if path := strings.Fields(line)[0]; !slices.Contains(required, path) {
			t.Errorf("go.mod requires %s, allowed are %v", path, required)
		}
	}
	if direct != len(required) {
		t.Errorf("%d direct requirements, want %d", direct, len(required))
	}
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	list := strings.Fields(string(out))
	if len(list) < 5 {
		t.Fatalf("go list %v gave only %v", args, list)
	}
	return list
}

func TestImportsOfServicesStaySmall(t *testing.T) {
	for _, path := range goList(t, "-f", `{{join .Imports "\n"}}`, ".") {
		first, _, _ := strings.Cut(path, "/")
		if strings.Contains(first, ".") && !slices.Contains(allowed, path) {
			t.Errorf("imports %s, allowed are %v and the standard library", path, allowed)
		}
	}
	for _, path := range goList(t, "-deps", ".") {
		for _, b := range banned {
			if path == b.prefix || strings.HasPrefix(path, b.prefix+"/") {
				t.Errorf("depends on %s: %s", path, b.reason)
			}
		}
		for _, b := range bannedExactly {
			if path == b.path {
				t.Errorf("depends on %s: %s", path, b.reason)
			}
		}
	}
}
