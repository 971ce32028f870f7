package metrics

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/microhq/monitor-srv/internal/testkit"
)

func deployed(t *testing.T, elements ...string) string {
	t.Helper()
	return filepath.Join(append([]string{testkit.Root(t), "deploy"}, elements...)...)
}

func TestConfigurationAndRulesForPrometheusAreRight(t *testing.T) {
	for _, args := range [][]string{
		{"check", "config", deployed(t, "prometheus", "prometheus.yml")},
		{"check", "rules", deployed(t, "prometheus", "rules.yml")},
		{"test", "rules", deployed(t, "prometheus", "rules_test.yml")},
	} {
		if out, err := promtool(t, "", args...); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

var alertName = regexp.MustCompile(`(?m)^ +- alert(?:name)?: (\w+)$`)

func TestEachAlertHasATest(t *testing.T) {
	tested := make(map[string]bool)
	for _, m := range alertName.FindAllStringSubmatch(string(testkit.ReadFile(t, deployed(t, "prometheus", "rules_test.yml"))), -1) {
		tested[m[1]] = true
	}
	alerts := alertName.FindAllStringSubmatch(string(testkit.ReadFile(t, deployed(t, "prometheus", "rules.yml"))), -1)
	if len(alerts) < 10 {
		t.Fatalf("%d alerts", len(alerts))
	}
	for _, m := range alerts {
		if !tested[m[1]] {
			t.Errorf("the alert %s has no test", m[1])
		}
	}
}

// seriesNames are the names of all series that a query may use: those of a scrape and of
// /probe, those that Prometheus adds, and those of the recording rules.
func seriesNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{"up": true}
	for _, f := range append(newContract().all, newProbeFamilies().all...) {
		names[f.name] = true
		if f.kind == dto.MetricType_HISTOGRAM || f.kind == dto.MetricType_SUMMARY {
			names[f.name+"_sum"], names[f.name+"_count"] = true, true
			names[f.name+"_bucket"] = f.kind == dto.MetricType_HISTOGRAM
		}
	}
	for name := range parse(t, newWorld(t, "").metrics(t)) {
		names[name] = true // of the Go runtime and the process
	}
	for _, m := range regexp.MustCompile(`(?m)^ +- record: (\S+)$`).FindAllStringSubmatch(string(testkit.ReadFile(t, deployed(t, "prometheus", "rules.yml"))), -1) {
		names[m[1]] = true
	}
	return names
}

// usedNames returns the names of series that a text uses.
func usedNames(text string) []string {
	return regexp.MustCompile(`\b(?:(?:micro_monitor|probe|go|process)_\w+|service:[\w:]+)`).FindAllString(text, -1)
}

func TestRulesUseMetricsThatExist(t *testing.T) {
	names := seriesNames(t)
	used := usedNames(string(testkit.ReadFile(t, deployed(t, "prometheus", "rules.yml"))))
	if len(used) < 30 {
		t.Fatalf("%d names are used", len(used))
	}
	for _, name := range used {
		if !names[name] {
			t.Errorf("the rules use %s, which is not there", name)
		}
	}
}

// dashboard is what Grafana reads.
type dashboard struct {
	Panels []struct {
		Title, Type string
		Targets     []struct{ Expr string }
	}
	Templating struct {
		List []struct{ Name, Definition string }
	}
}

func TestDashboardUsesMetricsThatExist(t *testing.T) {
	var d dashboard
	if err := json.Unmarshal(testkit.ReadFile(t, deployed(t, "grafana", "monitor-srv.json")), &d); err != nil {
		t.Fatal(err)
	}
	names, queries := seriesNames(t), make(map[string]string)
	for _, p := range d.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %q asks nothing", p.Title)
		}
		for i, target := range p.Targets {
			queries[fmt.Sprint(p.Title, " ", i)] = target.Expr
		}
	}
	if len(queries) < 30 {
		t.Fatalf("%d queries", len(queries))
	}
	rules := "groups:\n- name: x\n  rules:\n"
	for panel, query := range queries {
		rules += fmt.Sprintf("  - record: x\n    expr: %q\n    labels: {panel: %q}\n", strings.ReplaceAll(query, "$__rate_interval", "5m"), panel)
	}
	for _, v := range d.Templating.List {
		queries["variable "+v.Name] = v.Definition
	}
	for panel, query := range queries {
		used := usedNames(query)
		if len(used) == 0 && panel != "variable datasource" {
			t.Errorf("%s uses no metric: %s", panel, query)
		}
		for _, name := range used {
			if !names[name] {
				t.Errorf("%s uses %s, which is not there", panel, name)
			}
		}
	}
	// promtool reads the queries as Prometheus does.
	file := testkit.NewFile(t, "queries.yml", rules)
	if out, err := promtool(t, "", "check", "rules", file); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// The reference has one row for each metric, with its type and labels, and no other.
func TestReferenceOfMetricsIsThatOfTheContract(t *testing.T) {
	page := string(testkit.ReadFile(t, filepath.Join(testkit.Root(t), "docs", "reference", "metrics.md")))
	listed := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\|([^|]*)\\| [^|]+ \\|$").FindAllStringSubmatch(page, -1) {
		if listed[m[1]] != "" {
			t.Errorf("%s has two rows", m[1])
		}
		labels := regexp.MustCompile(`\w+`).FindAllString(m[3], -1)
		slices.Sort(labels)
		listed[m[1]] = m[2] + " " + strings.Join(labels, " ")
	}
	for _, f := range append(newContract().all, newProbeFamilies().all...) {
		want := strings.ToLower(f.kind.String()) + " " + strings.Join(f.labels, " ")
		if got := listed[f.name]; got != want {
			t.Errorf("%s is listed as %q, want %q", f.name, got, want)
		}
		delete(listed, f.name)
	}
	for name := range listed {
		t.Errorf("the page describes %s, which is not there", name)
	}
}
