package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/connlimit"
)

// errFarReader is the error for a client of another machine that may not read.
var errFarReader = errors.New("clients of other machines need a token to read, and the service has no token file (--token_file FILE)")

// handler returns the routes, behind the checks that come before routing.
func (s *Server) handler() http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answerText(w, http.StatusForbidden, "requests from web pages of another origin are refused: nothing was changed")
	}))
	inner := cross.Handler(s.routes())
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		conn := connlimit.Of(r)
		conn.Serve()
		defer conn.Wait()
		w, began := &statusWriter{ResponseWriter: rw}, time.Now()
		defer func() { s.requests.add(r.Pattern, cmp.Or(w.status, http.StatusOK), time.Since(began)) }()
		h := w.Header()
		h.Set(VersionHeader, s.cfg.Program)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		if !s.hosts.allow(r) {
			// A client that addresses another host does not keep its connection.
			h.Set("Connection", "close")
			answerText(w, http.StatusMisdirectedRequest, fmt.Sprintf("this service is not known as %.100q: use localhost or the address it listens at, or have the name allowed", r.Host))
			return
		}
		r.Body = http.MaxBytesReader(rw, r.Body, maxBody)
		inner.ServeHTTP(w, r)
	})
}

// read wraps what changes nothing: clients of this machine need no token for it.
func (s *Server) read(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		need := access.Viewer
		if access.Loopback(r.RemoteAddr) {
			need = access.None
		}
		if err := s.door.Allow(r.Context(), need, tokenOf(r), r.RemoteAddr); err != nil {
			if errors.Is(err, access.ErrNoToken) {
				err = &statusError{http.StatusForbidden, errFarReader}
			}
			fail(w, err)
			return
		}
		h(w, r)
	}
}

// change wraps what changes something. The body is read only once the role is
// known to be enough.
func (s *Server) change(need access.Role, h func(http.ResponseWriter, *http.Request, access.Caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := s.door.Caller(r.Context(), tokenOf(r), r.RemoteAddr)
		if err == nil {
			err = access.Enough(c.Role, need)
		}
		if err != nil {
			fail(w, err)
			return
		}
		h(w, r, c)
	}
}

func tokenOf(r *http.Request) string { return access.Bearer(r.Header.Get("Authorization")) }
