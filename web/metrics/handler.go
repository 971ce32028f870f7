package metrics

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/microhq/monitor-srv/connlimit"
)

const (
	// maxScrapes bounds the scrapes at a time, maxScrapesOfAddress those of one address.
	// Each takes some megabytes until it is read.
	maxScrapes          = 8
	maxScrapesOfAddress = 4
)

// handler answers /metrics.
type handler struct {
	inner   http.Handler
	scrapes *connlimit.Places
}

// NewHandler returns the handler of /metrics. It adds the metrics of the Go runtime and of
// the process to those of a Collector.
func NewHandler(c *Collector, log *slog.Logger) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	for _, each := range []prometheus.Collector{
		c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(each); err != nil {
			return nil, err
		}
	}
	return limited(promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:     promhttp.ContinueOnError,
		EnableOpenMetrics: true,
	})), nil
}

func limited(inner http.Handler) http.Handler {
	return &handler{inner, connlimit.NewPlaces(connlimit.Limits{Max: maxScrapes, Share: maxScrapesOfAddress, Strict: true})}
}

// ServeHTTP answers, unless too many scrapes are being collected. A client that does not
// read its answer loses it to the next one.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	place := h.scrapes.Take(connlimit.Source(r.RemoteAddr), func() {
		_ = control.SetWriteDeadline(time.Unix(1, 0)) // the connection may be closed
	})
	if place == nil {
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "too many scrapes at a time: try again\n") // else the client is gone
		return
	}
	defer place.Release()
	place.Serve()
	h.inner.ServeHTTP(&answerWriter{w, place}, r)
}

// answerWriter notes that the service waits for the client once it writes.
type answerWriter struct {
	http.ResponseWriter

	place *connlimit.Place
}

// Write implements http.ResponseWriter.
func (w *answerWriter) Write(b []byte) (int, error) {
	w.place.Wait()
	return w.ResponseWriter.Write(b)
}
