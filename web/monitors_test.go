package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
)

func monitorFilter() monitor.Filter { return monitor.Filter{} }

type page struct {
	Monitors []map[string]any `json:"monitors"`
	Total    int              `json:"total"`
}

func (w *world) page(query string) page {
	w.t.Helper()
	a := w.want(call{method: "GET", path: "/api/v1/monitors" + query}, 200)
	var p page
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		w.t.Fatalf("%q: %v", a.body, err)
	}
	return p
}

func (p page) names() string {
	var names []string
	for _, m := range p.Monitors {
		names = append(names, m["name"].(string))
	}
	return strings.Join(names, " ")
}

func TestMonitorsAreToldWithNamesAndTimes(t *testing.T) {
	w := newWorld(t, options{})
	w.setProbe(func(context.Context) (probe.Result, error) {
		return probe.Result{Value: math.NaN(), Detail: "<b>"}, errors.New("down\nand out")
	})
	w.want(registerCall(admin, `{"name":"a","interval":1,"timeout":"500ms","max":2.5,"warn_max":2,"probe":{"type":"tcp","address":"h:1"},"filter":{"type":"average"},"labels":{"team":"x"}}`), 200)
	testkit.Eventually(t, 10*time.Second, "the monitor fails", func() bool { return w.info(1).Failing })
	m := w.page("").Monitors[0]
	for key, want := range map[string]any{
		"id": 1.0, "name": "a", "running": true, "failing": true, "state": "FAILING",
		"error": "down and out", "detail": "<b>", "interval": 1.0, "timeout": 0.5, "min": 0.0, "max": 2.5, "warn_max": 2.0,
		"probe": "tcp", "filter": "average", "origin": "api",
	} {
		if m[key] != want {
			t.Errorf("%s: got %v, want %v", key, m[key], want)
		}
	}
	if v, ok := m["value"]; ok {
		t.Errorf("a value that is no number is told as %v", v)
	}
	if _, ok := m["warn_min"]; ok {
		t.Error("warn_min is told although it is not set")
	}
	for _, key := range []string{"since", "last_probe", "next_probe"} {
		text, _ := m[key].(string)
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil || !strings.HasSuffix(text, "Z") || time.Since(at).Abs() > time.Minute {
			t.Errorf("%s: got %q, %v", key, text, err)
		}
	}
	if m["probes"].(float64) < 1 || m["failures"].(float64) < 1 {
		t.Errorf("counts: %v", m)
	}
	w.want(wordCall(1, "stop"), 200)
	m = w.page("").Monitors[0]
	if m["state"] != "STOPPED" || m["running"] != false || m["failing"] != true || m["next_probe"] != nil {
		t.Errorf("stopped: %v", m)
	}
}

func TestMonitorsAreFilteredThenPaged(t *testing.T) {
	w := newWorld(t, options{})
	for i := range 5 {
		w.add(fmt.Sprint("m", i))
	}
	w.want(wordCall(2, "stop"), 200)
	w.want(wordCall(4, "stop"), 200)
	for query, want := range map[string]struct {
		names string
		total int
	}{
		"":                             {"m0 m1 m2 m3 m4", 5},
		"?limit=0":                     {"m0 m1 m2 m3 m4", 5},
		"?limit=2":                     {"m0 m1", 5},
		"?limit=2&offset=4":            {"m4", 5},
		"?offset=5":                    {"", 5},
		"?offset=9223372036854775807":  {"", 5},
		"?limit=9223372036854775807":   {"m0 m1 m2 m3 m4", 5},
		"?id=3":                        {"m2", 1},
		"?id=9":                        {"", 0},
		"?name=m3":                     {"m3", 1},
		"?name=m":                      {"", 0},
		"?name=":                       {"m0 m1 m2 m3 m4", 5},
		"?state=STOPPED":               {"m1 m3", 2},
		"?state=stopped&limit=1":       {"m1", 2},
		"?state=STOPPED&name=m0":       {"", 0},
		"?state=FAILING":               {"", 0},
		"?state=STOPPED&offset=1&id=4": {"", 1},
	} {
		p := w.page(query)
		if p.names() != want.names || p.Total != want.total {
			t.Errorf("%q: got %q of %d, want %q of %d", query, p.names(), p.Total, want.names, want.total)
		}
	}
	for query, want := range map[string]string{
		"limit=-1":                    `parameter "limit": "-1" is not a whole number`,
		"offset=x":                    `parameter "offset"`,
		"limit=1.5":                   "whole number",
		"limit=9223372036854775808":   "whole number",
		"offset=18446744073709551615": "whole number",
		"id=a":                        `parameter "id"`,
		"state=GOOD":                  "give one of UNKNOWN, OK, WARNING, FAILING, STOPPED",
		"stat=OK":                     `unknown parameter "stat"; known are id, limit, name, offset, state`,
		"id=1&id=2":                   `parameter "id" is given 2 times`,
		"limit=%zz":                   "reading the query",
	} {
		w.want(call{method: "GET", path: "/api/v1/monitors?" + query}, 400, want)
	}
}

// FuzzMonitorQuery checks that no query makes a page of more than a thousand, or
// a panic, and that what is accepted is what was said.
// Faults: T65.
func FuzzMonitorQuery(f *testing.F) {
	f.Add("limit=5&offset=7&state=ok&name=x&id=3")
	f.Add("limit=-0&offset=%31")
	f.Add("limit=18446744073709551615;x")
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parseQuery(raw)
		if err != nil {
			return
		}
		values, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("%q is accepted", raw)
		}
		if q.limit < 1 || q.limit > maxPage || q.offset < 0 || q.filter.ID < 0 {
			t.Fatalf("%q reads %+v", raw, q)
		}
		if q.filter.Name != values.Get("name") {
			t.Fatalf("%q: name %q", raw, q.filter.Name)
		}
		if s := values.Get("state"); s != "" && !strings.EqualFold(q.filter.State.String(), s) {
			t.Fatalf("%q: state %v", raw, *q.filter.State)
		}
	})
}
