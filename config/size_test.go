package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/monitor"
)

// TestFileOfTenThousandMonitorsIsRead checks MaxDocument with typical monitors.
// Faults: T74.
func TestFileOfTenThousandMonitorsIsRead(t *testing.T) {
	const n = 10_000
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `[[monitor]]
name = "checkout of shop %d in the region of the north"
interval = "30s"
timeout = "10s"
failures_before_alert = 3
retry_interval = "5s"
labels = { team = "shops", runbook = "https://wiki.example.org/shops" }
  [monitor.probe]
  type = "http"
  url = "https://shop-%d.example.org/checkout/health"
  header = { Accept = "application/json" }
  [monitor.filter]
  type = "average"
  window = 3
`, i, i)
	}
	file := filepath.Join(t.TempDir(), "a.toml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var set monitor.Set
	problems := Load(&set, nil, file)
	if len(set.Monitors) != n || len(problems) != 0 {
		t.Errorf("%d bytes: %d monitors, %v", text.Len(), len(set.Monitors), problems)
	}
}
