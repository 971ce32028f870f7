package web

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Requests counts the requests of one path with one status.
type Requests struct {
	// Path is the route, or empty for all that have none.
	Path   string
	Status int
	Count  uint64
	// Took is the time that they took together.
	Took time.Duration
}

// requests are the live counts of Requests. The routes and our answers bound them.
type requests struct {
	mu sync.Mutex
	of map[route]Requests // guarded by mu
}

type route struct {
	path   string
	status int
}

// Requests returns the counts of the requests since the start, by path and status.
func (s *Server) Requests() []Requests {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	all := make([]Requests, 0, len(s.requests.of))
	for _, r := range s.requests.of {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Requests) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Status, b.Status))
	})
	return all
}

// add counts a request. pattern is that of the route, "/" or empty without one.
func (c *requests) add(pattern string, status int, took time.Duration) {
	if pattern == "/" {
		pattern = ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = make(map[route]Requests)
	}
	r := c.of[route{pattern, status}]
	c.of[route{pattern, status}] = Requests{pattern, status, r.Count + 1, r.Took + took}
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter

	status int // 0 before the header is written
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(b []byte) (int, error) {
	w.status = cmp.Or(w.status, http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
