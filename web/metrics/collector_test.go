package metrics

import (
	"regexp"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func TestScrapeTellsWhatTheStoreAndTheMonitorsKnow(t *testing.T) {
	text := busyScrape(t)
	wantLines(t, text,
		`micro_monitor_services 1`,
		`micro_monitor_nodes{service="shop",status="MISSING"} 1`,
		`micro_monitor_nodes{service="shop",status="RUNNING"} 0`,
		`micro_monitor_checks{service="shop",status="MISSING"} 2`,
		`micro_monitor_store_entries{kind="check"} 2`,
		`micro_monitor_monitors{state="FAILING"} 2`,
		`micro_monitor_monitor_info{monitor="web",probe="tcp"} 1`,
		`micro_monitor_monitor_state{monitor="web"} 3`,
		`micro_monitor_monitor_value{monitor="web"} -1`,
		`micro_monitor_monitor_lateness_seconds{monitor="web"} 0`,
		`micro_monitor_receiver_up{receiver="ops"} 1`,
		`micro_monitor_receiver_info{kind="mail",receiver="ops"} 1`,
		`micro_monitor_notifications_total{reason="",receiver="ops",result="delivered"} 4`,
		`micro_monitor_notification_latency_seconds_count{receiver="ops"} 2`,
		`micro_monitor_events_total{result="accepted",topic="micro.monitor.stats"} 5`,
		`micro_monitor_component_up{component="registry"} 0`,
		`micro_monitor_component_last_change_timestamp_seconds{component="registry"} 2000.5`,
		`micro_monitor_connections{port="HTTP"} 3`,
		`micro_monitor_rpc_calls_total{code="404",method="Monitor.Status"} 1`,
		`micro_monitor_rpc_call_duration_seconds_count{method="Monitor.Status"} 5`,
		`micro_monitor_http_requests_total{code="200",path="/list"} 7`,
	)
	for name, least := range map[string]string{
		"unreachable": `micro_monitor_notification_attempts_total{receiver="ops",result="unreachable"} [1-9]`,
		"probes":      `micro_monitor_monitor_probes_total{monitor="db"} [89]`,
		"failures":    `micro_monitor_monitor_failures_total{monitor="db"} [67]`,
		"lateness":    `micro_monitor_probe_lateness_seconds_bucket{le="0.001"} 1[0-9]`,
	} {
		if !regexp.MustCompile("(?m)^" + least + "$").MatchString(text) {
			t.Errorf("%s: no line %s in\n%s", name, least, strings.Join(regexp.MustCompile("(?m)^micro_monitor_(monitor_|notification_attempts|probe).*$").FindAllString(text, 90), "\n"))
		}
	}
}

// Dashboards and rules depend on the names.
func TestEachMetricOfTheContractIsInAScrape(t *testing.T) {
	families := parse(t, busyScrape(t))
	for _, f := range newContract().all {
		got := families[f.name]
		switch {
		case got == nil:
			t.Errorf("%s is in no scrape", f.name)
		case got.GetType() != f.kind:
			t.Errorf("%s is a %v, want %v", f.name, got.GetType(), f.kind)
		}
	}
	for name := range families {
		if !strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s has no prefix", name)
		}
	}
}

func TestPromtoolAcceptsAScrapeWithoutAWarning(t *testing.T) {
	out, err := promtool(t, busyScrape(t), "check", "metrics")
	if err != nil || out != "" {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	if out, err := promtool(t, "# TYPE bad_gauge_count gauge\nbad_gauge_count 1\n", "check", "metrics"); err == nil {
		t.Errorf("promtool takes anything: %s", out)
	}
}

func TestLatencyHasTheIncidentAsExemplar(t *testing.T) {
	text := busyScrape(t, "Accept", "application/openmetrics-text; version=1.0.0")
	if !regexp.MustCompile(`micro_monitor_notification_latency_seconds_bucket\{receiver="ops",le="[0-9.]+"\} \d+ # \{incident="[A-Z0-9]{26}"\} [0-9.]+ [0-9.]+`).MatchString(text) {
		t.Errorf("no bucket has an exemplar:\n%s", text)
	}
	if !strings.HasSuffix(text, "# EOF\n") {
		t.Error("the answer is not complete")
	}
}

// Services that nobody vouches for are summed first.
func TestServicesBeyondTheLimitAreSummed(t *testing.T) {
	w := newWorld(t, "")
	w.sources.MaxSeries = 3 * seriesOfService
	for _, service := range []string{"a", "b", "c", "other", "z"} {
		w.put(t, running(service, service+"-1"), check(service, service+"-1", "x", healthpb.HealthCheck_OK))
	}
	w.sources.Store.Believe("z", "z-1", true)
	w.sources.Store.Believe("other", "other-1", true)
	text := w.metrics(t)
	wantLines(t, text,
		`micro_monitor_services 5`,
		`micro_monitor_checks{service="a",status="OK"} 1`,
		`micro_monitor_checks{service="b",status="OK"} 1`,
		`micro_monitor_checks{service="other",status="OK"} 2`,
		`micro_monitor_checks{service="z",status="OK"} 1`,
		`micro_monitor_series_overflow_total 20`,
	)
}

func TestLimitsHoldForServicesMonitorsAndReceivers(t *testing.T) {
	w := newWorld(t, toml("tcp", "m1", "m2", "m3"))
	w.sources.MaxSeries, w.sources.MaxMonitors, w.sources.MaxReceivers = 200, 2, 1
	w.fill(t, 100)
	h := w.handler(t, testkit.QuietLog())
	first := parse(t, scrape(t, h, "/metrics"))
	w.fill(t, 1000)
	text := scrape(t, h, "/metrics")
	for _, name := range []string{"checks", "nodes"} {
		few, many := len(first[prefix+name].GetMetric()), len(parse(t, text)[prefix+name].GetMetric())
		if few != 105 || many != 105 {
			t.Errorf("%s have %d series, and %d with ten times the services, want 105", name, few, many)
		}
	}
	wantLines(t, text, `micro_monitor_monitor_info{monitor="m2",probe="tcp"} 1`)
	if strings.Contains(text, `monitor="m3"`) {
		t.Error("a monitor beyond the limit has series")
	}
}
