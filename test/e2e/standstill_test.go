package e2e

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// TestStoppedProcessBlamesNoTarget stops the process for longer than the timeout of
// probes that are under way, with targets that answer after a second.
// Faults: C23.
func TestStoppedProcessBlamesNoTarget(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	var underWay atomic.Int64
	target := testkit.ServeConns(t, func(c net.Conn) {
		underWay.Add(1)
		defer underWay.Add(-1)
		time.Sleep(time.Second)
		_, _ = c.Write([]byte("hello\n"))
		testkit.ReadHTTPRequest(c) // until the probe closes the connection
	})
	var files strings.Builder
	for i := range 10 {
		fmt.Fprintf(&files, "[[monitor]]\nname = \"tcp %d\"\ninterval = 3\ntimeout = 2.8\nmax = 2\n[monitor.probe]\ntype = \"tcp\"\naddress = %q\nexpect = \"hello\"\nmeasure = \"latency\"\n", i, target)
		fmt.Fprintf(&files, "[[monitor]]\nname = \"exec %d\"\ninterval = 3\ntimeout = 2.8\n[monitor.probe]\ntype = \"exec\"\ncommand = \"/bin/sleep\"\nargs = [\"1\"]\n", i)
	}
	m := startMonitor(t, "--registry=memory", "-d", configDir(t, files.String()))
	m.ready(ample)
	testkit.Eventually(t, ample, "every monitor is OK", func() bool { return len(failing(t, m)) == 0 })
	for range 3 {
		testkit.Eventually(t, ample, "probes are under way", func() bool { return underWay.Load() > 2 })
		m.signal(syscall.SIGSTOP)
		time.Sleep(4 * time.Second)
		m.signal(syscall.SIGCONT)
		time.Sleep(4 * time.Second)
	}
	for name, now := range monitorsOf(t, m) {
		if now.Failures != 0 || now.State != 1 {
			t.Errorf("%s: %+v", name, now)
		}
	}
	if out := m.output(); strings.Contains(out, "monitor is failing") || !strings.Contains(out, "this process stood still") {
		t.Errorf("logged %s", tail(out, 2000))
	}
}
