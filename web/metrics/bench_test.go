package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/microhq/monitor-srv/internal/testkit"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// discard is an answer that nobody reads.
type discard struct {
	*httptest.ResponseRecorder

	bytes int
}

func (d *discard) Write(b []byte) (int, error) { d.bytes += len(b); return len(b), nil }

// BenchmarkScrape is a scrape of 20,000 series of 2,000 services, by the encoding of the
// answer.
func BenchmarkScrape(b *testing.B) {
	w := newWorld(b, "")
	w.fill(b, 2000)
	h := w.handler(b, testkit.QuietLog())
	if n := series(w.metrics(b)); n < 20_000 {
		b.Fatalf("%d series", n)
	}
	measureScrapes(b, h)
}

func measureScrapes(b *testing.B, h http.Handler) {
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run(encoding, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			r.Header.Set("Accept-Encoding", encoding)
			var answer discard
			testkit.MeasureCPU(b, func() {
				answer = discard{ResponseRecorder: httptest.NewRecorder()}
				h.ServeHTTP(&answer, r)
			})
			b.ReportMetric(float64(answer.bytes), "B/answer")
		})
	}
}

// constant is a collector of as many series of numbers that are there already, as the
// library makes them.
type constant struct{ desc *prometheus.Desc }

func (c constant) Describe(out chan<- *prometheus.Desc) { out <- c.desc }

func (c constant) Collect(out chan<- prometheus.Metric) {
	for s := range 2000 {
		for status := range 10 {
			out <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(s), fmt.Sprintf("go.micro.srv.service-%d", s), fmt.Sprint("STATUS-", status))
		}
	}
}

// BenchmarkScrapeConstant is the reference of BenchmarkScrape.
func BenchmarkScrapeConstant(b *testing.B) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(constant{prometheus.NewDesc("constant", "Help.", []string{"service", "status"}, nil)})
	measureScrapes(b, promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
}

// fill stores so many services, each with 5 nodes and 10 checks of each.
func (w *world) fill(t testing.TB, services int) {
	t.Helper()
	for s := range services {
		for n := range 5 {
			service, node := fmt.Sprintf("go.micro.srv.service-%d", s), fmt.Sprintf("go.micro.srv.service-%d-node-%d", s, n)
			w.put(t, running(service, node))
			for c := range 10 {
				w.put(t, check(service, node, fmt.Sprintf("go.micro.healthcheck.%d", c), healthpb.HealthCheck_OK))
			}
		}
	}
}
