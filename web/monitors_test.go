package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
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

// usualLimits are those of the service.
func usualLimits(c *monitor.Config) { c.MaxPerSecond, c.MaxOwned = 0, 0 }

func TestAtMostTenRegistrationsASecondByHTTP(t *testing.T) {
	w := newWorld(t, options{group: usualLimits})
	begin := time.Now()
	passed, refused := 0, 0
	// Of 40 at once, or as fast as this machine is, no more than 10 a second pass.
	for i := range 40 {
		switch a := w.do(registerCall(operator, definition(fmt.Sprint("m", i)))); a.status {
		case 200:
			passed++
		case 429:
			refused++
			if want := fmt.Sprintf("registering monitor \"m%d\": at most 10 monitors may be registered per second: try again in 1s\n", i); a.body != want || a.header.Get("Retry-After") != "1" {
				t.Fatalf("got %q, Retry-After %q; want %q, 1", a.body, a.header.Get("Retry-After"), want)
			}
		default:
			t.Fatalf("%d %q", a.status, a.body)
		}
	}
	if most := 10 * (1 + int(time.Since(begin)/time.Second)); passed > most || passed < 10 || passed+refused != 40 {
		t.Errorf("%d passed and %d were refused in %v, want 10 to %d to pass", passed, refused, time.Since(begin), most)
	}
	// The refused ones come in by trying again.
	testkit.Eventually(t, 10*time.Second, "the next is registered", func() bool { return w.do(registerCall(operator, definition("m39"))).status == 200 })
}

func TestATokenRegisters200MonitorsByHTTP(t *testing.T) {
	w := newWorld(t, options{group: func(c *monitor.Config) { c.MaxOwned = 0 }})
	for i := range monitor.DefaultMaxOwned {
		w.want(registerCall(operator, definition(fmt.Sprint("m", i))), 200)
	}
	w.want(registerCall(operator, definition("more")), 507, "the limit is 200", "use another token")
	w.want(registerCall(operator, definition("m7")), 200)
	w.want(registerCall(admin, definition("more")), 200)
	w.want(deleteCall(1), 200)
	w.want(registerCall(operator, definition("again")), 200)
}

// Faults: G31.
func TestRegisteringAgainGivesTheSameIDByHTTP(t *testing.T) {
	w := newWorld(t, options{})
	for token, name := range map[string]string{operator: "a", admin: "b"} {
		a := w.want(registerCall(token, definition(name)), 200)
		id, err := strconv.ParseInt(a.body, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		again := w.want(registerCall(token, " "+definition(name)+"\n"), 200)
		if again.body != a.body || again.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("again: %q %q, want %q", again.body, again.header.Get("Content-Type"), a.body)
		}
		w.want(wordCall(id, "stop"), 200)
		if again := w.want(registerCall(token, definition(name)), 200); again.body != a.body || w.info(id).Running {
			t.Errorf("one that was stopped: %q, running %v", again.body, w.info(id).Running)
		}
	}
	w.want(registerCall(operator, definition("b")), 409)
	w.want(registerCall(admin, definition("a")), 409)
	if got := w.group.List(monitorFilter()); len(got) != 2 {
		t.Errorf("%d monitors, want 2", len(got))
	}
}
