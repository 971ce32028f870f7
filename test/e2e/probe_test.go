package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/cli"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
)

// asking are monitors of the kinds that ask others than their target.
const asking = `
[[monitor]]
name = "e"
timeout = "%[1]s"
probe = { type = "event", service = "go.micro.srv.monitor", check = "go.micro.srv.monitor.broker" }
[[monitor]]
name = "s"
timeout = "%[1]s"
max = 1e12
probe = { type = "stats", service = "go.micro.srv.monitor", metric = "heap_in_use" }
[[monitor]]
name = "r"
timeout = "%[1]s"
probe = { type = "rpc", service = "go.micro.srv.monitor", endpoint = "Monitor.Services", nodes = "all" }
`

// A running instance is found through a real Consul, and asked.
func TestTriedProbesAskARunningInstance(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	c := consultest.Start(t)
	m := startMonitor(t, "--registry_address", c.Address(), "-d", t.TempDir())
	m.ready(startWithin)
	var stdout, stderr string
	testkit.Eventually(t, 20*time.Second, "all are well", func() bool {
		var code int
		stdout, stderr, code = monitorSrv(t, fmt.Sprintf(asking, "5s"), "--registry_address", c.Address(), "probe", "-")
		return code == cli.ExitOK
	})
	for _, want := range []string{`OK, published by "` + m.node(), "heap_in_use ", "of 1 nodes", "1 of 1 calls answered"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("nothing says %q\n%s%s", want, stdout, stderr)
		}
	}
	nothing := strings.ReplaceAll(fmt.Sprintf(asking, "5s"), "go.micro.srv.monitor.broker", "go.micro.srv.monitor.brokr")
	stdout, _, code := monitorSrv(t, nothing, "--registry_address", c.Address(), "probe", "-", "e")
	if code != cli.ExitFailed || !strings.Contains(stdout, "never published") {
		t.Errorf("a check that nobody publishes: exit %d\n%s", code, stdout)
	}
}

// node returns the id of the instance's node in the registry.
func (m *subject) node() string {
	m.t.Helper()
	_, report := m.ask("/healthz")
	return report.Instance
}
