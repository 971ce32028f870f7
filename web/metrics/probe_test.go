package metrics

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

// askProbe asks /probe of a world.
func (w *world) askProbe(path string) (int, string) {
	rec := httptest.NewRecorder()
	NewProbeHandler(w.sources.Group, testkit.QuietLog()).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec.Code, rec.Body.String()
}

func TestProbeAnswersTheLastResultByTheNamesOfBlackboxExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, toml("http", "shop"))
		w.set(func() {
			w.probe = func() (probe.Result, error) {
				time.Sleep(250 * time.Millisecond)
				return probe.Result{
					Phases: []probe.Phase{{Name: "resolve", Duration: 50 * time.Millisecond}, {Name: "first_byte", Duration: 200 * time.Millisecond}},
					Facts: probe.Facts{
						Status: 200, MajorHTTP: 1, MinorHTTP: 1, Redirects: 2, Length: -1, Size: 1234, Modified: 1.7e9,
						TLS: 0x0304, FirstEnd: 1.8e9, ChainEnd: 1.9e9,
					},
				}, nil
			}
		})
		time.Sleep(10500 * time.Millisecond)
		_, text := w.askProbe("/probe?monitor=shop")
		wantLines(t, text,
			"probe_success 1", "probe_duration_seconds 0.25", "probe_value 0", "probe_dns_lookup_time_seconds 0.05",
			"probe_http_status_code 200", "probe_http_version 1.1", "probe_http_redirects 2", "probe_http_ssl 1",
			"probe_http_content_length -1", "probe_http_uncompressed_body_length 1234", "probe_http_last_modified_timestamp_seconds 1.7e+09",
			`probe_http_duration_seconds{phase="connect"} 0`, `probe_http_duration_seconds{phase="processing"} 0.2`, `probe_http_duration_seconds{phase="resolve"} 0.05`,
			"probe_ssl_earliest_cert_expiry 1.8e+09", "probe_ssl_last_chain_expiry_timestamp_seconds 1.9e+09", `probe_tls_version_info{version="TLS 1.3"} 1`,
		)
		families := parse(t, text)
		for _, f := range newProbeFamilies().all {
			if families[f.name] == nil {
				t.Errorf("%s is missing", f.name)
			}
		}
		if out, err := promtool(t, text, "check", "metrics"); err != nil || out != "" {
			t.Errorf("promtool check metrics: %v\n%s", err, out)
		}
		before := w.sources.Group.Counters().Probes
		for range 100 {
			w.askProbe("/probe?monitor=shop")
		}
		if w.sources.Group.Counters().Probes != before {
			t.Error("a scrape has started a probe")
		}
	})
}

func TestFailedProbeIsZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, toml("http", "shop"))
		w.set(func() { w.probe = func() (probe.Result, error) { return probe.Result{}, errors.New("refused") } })
		time.Sleep(10500 * time.Millisecond)
		_, text := w.askProbe("/probe?monitor=shop")
		wantLines(t, text, "probe_success 0", "probe_http_status_code 0", "probe_http_ssl 0")
		if strings.Contains(text, "probe_ssl_earliest_cert_expiry") {
			t.Error("there is a certificate without TLS")
		}
		id, err := w.sources.Group.IDOf("shop")
		if err == nil {
			err = w.sources.Group.Stop(id)
		}
		if err != nil {
			t.Fatal(err)
		}
		if code, text := w.askProbe("/probe?monitor=shop"); code != http.StatusOK || text != "" {
			t.Errorf("a stopped monitor: %d %q, want no result", code, text)
		}
	})
}

func TestOnlyHTTPProbesHaveSeriesOfHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, toml("tcp", "port"))
		if code, text := w.askProbe("/probe?monitor=port"); code != http.StatusOK || text != "" {
			t.Errorf("before the first probe: %d %q, want no result", code, text)
		}
		time.Sleep(10500 * time.Millisecond)
		if _, text := w.askProbe("/probe?monitor=port"); !strings.Contains(text, "probe_success 1") || strings.Contains(text, "probe_http") {
			t.Errorf("got %s", text)
		}
	})
}

func TestProbeSaysWhatIsWrongWithTheQuestion(t *testing.T) {
	w := newWorld(t, toml("tcp", "port"))
	for path, want := range map[string]struct {
		code int
		part string
	}{
		"/probe":                                      {400, "/probe?monitor=NAME"},
		"/probe?monitor=":                             {400, "/probe?monitor=NAME"},
		"/probe?monitor=a&monitor=b":                  {400, "/probe?monitor=NAME"},
		"/probe?monitor=port&debug=true":              {400, "/probe?monitor=NAME"},
		"/probe?monitor=%zz":                          {400, "reading the query"},
		"/probe?target=http://h/&module=http_2xx":     {400, "its own monitors only"},
		"/probe?monitor=prot":                         {404, `did you mean "port"?`},
		"/probe?monitor=" + strings.Repeat("n", 5000): {404, "not found"},
	} {
		if code, text := w.askProbe(path); code != want.code || !strings.Contains(text, want.part) || len(text) > 500 {
			t.Errorf("%.60s: %d %q, want %d with %q", path, code, text, want.code, want.part)
		}
	}
}
