package metrics

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/microhq/monitor-srv/monitor"
)

// probeHandler answers /probe.
type probeHandler struct {
	group    *monitor.Group
	families *probeFamilies
	log      *slog.Logger
}

// NewProbeHandler returns the handler of /probe?monitor=NAME. It answers the last result of
// the monitor and probes nothing, so a scrape starts no work.
func NewProbeHandler(group *monitor.Group, log *slog.Logger) http.Handler {
	return &probeHandler{group, newProbeFamilies(), log}
}

// ServeHTTP answers the last result of a monitor.
func (h *probeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := http.StatusBadRequest
	name, err := monitorOf(r.URL.RawQuery)
	var last monitor.Last
	if err == nil {
		status = http.StatusNotFound
		last, err = h.group.LastProbe(name)
	}
	if err != nil {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = fmt.Fprintln(w, err) // else the client is gone
		return
	}
	registry := prometheus.NewRegistry()
	if err := registry.Register(&result{h.families, last}); err != nil {
		http.Error(w, "an internal error: see the log of the service", http.StatusInternalServerError)
		h.log.Error("answering /probe", "monitor", name, "err", err)
		return
	}
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, r)
}

// monitorOf returns the monitor that a query names. The parameters of blackbox_exporter
// are refused: they would seem to probe any target.
func monitorOf(raw string) (string, error) {
	query, err := url.ParseQuery(raw)
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the query: %w", err)
	case query.Has("target") || query.Has("module"):
		return "", errors.New("this service answers for its own monitors only: give monitor=NAME in place of target and module")
	case len(query) != 1 || len(query["monitor"]) != 1 || query.Get("monitor") == "":
		return "", errors.New("give the name of one monitor: /probe?monitor=NAME")
	}
	return query.Get("monitor"), nil
}
