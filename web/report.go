package web

import (
	"encoding/json"
	"net/http"
	"time"
)

// Component is the state of one component: a named piece of the instance that can fail.
type Component struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Since is when OK last changed.
	Since time.Time `json:"since"`
	// Reason says what is wrong; empty if OK.
	Reason string `json:"reason,omitempty"`
	// Needed is set if the instance is not ready without it.
	Needed bool `json:"needed"`
}

// Report is the answer of /healthz and /readyz.
type Report struct {
	// Status is "ok", "degraded" if a component fails, or "not ready" if a needed
	// one does.
	Status     string      `json:"status"`
	Instance   string      `json:"instance"`
	Version    string      `json:"version"`
	Started    time.Time   `json:"started"`
	Components []Component `json:"parts"`
}

// Values of Report.Status.
const (
	StatusOK       = "ok"
	StatusDegraded = "degraded"
	StatusNotReady = "not ready"
)

// judge sets Status from the components.
func (r *Report) judge() {
	r.Status = StatusOK
	for _, c := range r.Components {
		switch {
		case !c.OK && c.Needed:
			r.Status = StatusNotReady
			return
		case !c.OK:
			r.Status = StatusDegraded
		}
	}
}

// healthz answers 200 while the process runs: a restart repairs neither registry nor
// broker.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	s.writeReport(w, func(string) int { return http.StatusOK })
}

// readyz answers 503 while a needed component fails.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	s.writeReport(w, func(status string) int {
		if status == StatusNotReady {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
}

func (s *Server) writeReport(w http.ResponseWriter, code func(status string) int) {
	report := s.cfg.Report()
	report.judge()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code(report.Status))
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	// A failed write means that the client is gone.
	_ = enc.Encode(report)
}
