package metrics

import (
	"fmt"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// Faults: T62.
func TestHostileNamesSpoilNoScrape(t *testing.T) {
	w := newWorld(t, "")
	long := strings.Repeat("n", 64<<10)
	names := []string{"a\xff", "a\xfe", "line\nbreak", `quote"and\backslash`, long + "1", long + "2", "\u202e\u0000", `x"} 1`, "", " ", "# HELP"}
	for _, name := range names {
		w.put(t, running(name, "node"), check(name, "node", name, healthpb.HealthCheck_ERROR))
	}
	var log testkit.LogBuffer
	text := scrape(t, w.handler(t, log.Logger()), "/metrics")
	checks := parse(t, text)[prefix+"checks"]
	if got, want := len(checks.GetMetric()), len(names)*5; got != want {
		t.Errorf("there are %d series of checks, want %d", got, want)
	}
	for _, m := range checks.GetMetric() {
		for _, l := range m.GetLabel() {
			if len(l.GetValue()) > maxLabel {
				t.Errorf("a label has %d bytes", len(l.GetValue()))
			}
		}
	}
	if out, err := promtool(t, text, "check", "metrics"); err != nil || out != "" {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	if log.String() != "" {
		t.Errorf("the log says %s", log.String())
	}
}

// FuzzMetricsText stores what is published under any names, and reads the scrape.
// Faults: T62.
func FuzzMetricsText(f *testing.F) {
	f.Add("service", "node", "check", "monitor")
	f.Add("a\xff\"\n\\", "", "{}", "other")
	f.Fuzz(func(t *testing.T, service, node, id, other string) {
		w := newWorld(t, "")
		w.sources.MaxSeries = 2 * seriesOfService
		for _, name := range []string{service, other, "third", fmt.Sprint(service, other)} {
			w.put(t, running(name, node))
			w.sources.Store.Put(check(name, node, id, healthpb.HealthCheck_OK))
		}
		families := parse(t, w.metrics(t))
		if n := len(families[prefix+"checks"].GetMetric()); n == 0 || n > 3*5 {
			t.Errorf("%d series of checks", n)
		}
	})
}
