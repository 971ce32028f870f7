package metrics

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// busyScrape returns a scrape of a world in which something of everything has happened, in
// the format that the header asks for.
func busyScrape(t *testing.T, header ...string) (text string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, toml("tcp", "web", "db"))
		w.put(t, running("shop", "shop-1"), check("shop", "shop-1", "db", healthpb.HealthCheck_OK), check("shop", "shop-1", "disk", healthpb.HealthCheck_ERROR))
		time.Sleep(20 * time.Second) // the reports of the shop are stale
		w.put(t, check("shop", "shop-1", "disk", healthpb.HealthCheck_WARNING))
		w.set(func() {
			w.probe = func() (probe.Result, error) {
				time.Sleep(time.Millisecond)
				return probe.Result{Value: -1}, errors.New("refused")
			}
			w.notify = func() error { return &action.Unreachable{Err: errors.New("no route")} }
		})
		time.Sleep(10500 * time.Millisecond)
		w.set(func() { w.notify = func() error { return nil } })
		time.Sleep(time.Minute)
		text = w.metrics(t, header...)
	})
	return text
}

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
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, toml("tcp", "m1", "m2", "m3"))
		w.sources.MaxSeries, w.sources.MaxMonitors, w.sources.MaxReceivers = 200, 2, 1
		w.fill(t, 100)
		time.Sleep(11 * time.Second)
		h := w.handler(t, testkit.QuietLog())
		first := series(scrape(t, h, "/metrics"))
		w.fill(t, 1000)
		text := scrape(t, h, "/metrics")
		if n := series(text); n > first+5 {
			t.Errorf("a scrape has %d series, with a tenth of the services %d", n, first)
		}
		wantLines(t, text, `micro_monitor_monitors{state="OK"} 3`, `micro_monitor_monitor_state{monitor="m2"} 1`)
		if strings.Contains(text, `monitor="m3"`) {
			t.Error("a monitor beyond the limit has series")
		}
	})
}

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

// A client that does not read its answer keeps nobody else from scraping.
func TestSlowScrapesGiveWay(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	collecting := make(chan struct{})
	t.Cleanup(func() { close(end) })
	h := limited(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			_, _ = w.Write(nil)
			begun <- struct{}{}
			<-end
		case "/collecting":
			begun <- struct{}{}
			<-collecting
		}
	}))
	ask := func(path string) int {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		return rec.Code
	}
	occupy := func(path string) {
		for range maxScrapesOfAddress {
			go ask(path)
			select {
			case <-begun:
			case <-time.After(10 * time.Second):
				t.Fatalf("%s was refused", path)
			}
		}
	}
	occupy("/slow")
	if code := ask("/quick"); code != http.StatusOK {
		t.Fatalf("a scrape beside slow clients: %d", code)
	}
	occupy("/collecting")
	if code := ask("/quick"); code != http.StatusServiceUnavailable {
		t.Errorf("a scrape beside many that are collected: %d", code)
	}
	close(collecting)
	testkit.Eventually(t, 10*time.Second, "there is room again", func() bool { return ask("/quick") == http.StatusOK })
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
