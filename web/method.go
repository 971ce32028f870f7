package web

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// methods are the handlers of one path, by method of the request line. No header
// overrides it.
type methods map[string]http.HandlerFunc

// ServeHTTP implements http.Handler.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if h, ok := m[method]; ok {
		h(w, r)
		return
	}
	known := strings.Join(slices.Sorted(maps.Keys(m)), ", ")
	w.Header().Set("Allow", known)
	answerText(w, http.StatusMethodNotAllowed, fmt.Sprintf("the method %.20q is not known here: use %s", r.Method, known))
}

func notFound(w http.ResponseWriter, r *http.Request) {
	answerText(w, http.StatusNotFound, fmt.Sprintf("there is nothing at %.100q", r.URL.Path))
}
