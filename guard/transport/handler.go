package transport

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"go-micro.dev/v4/transport"

	"github.com/microhq/monitor-srv/connlimit"
)

const (
	// smallBody is the size in bytes up to which every request body is held in memory.
	smallBody = 64 << 10
	// maxLargeBodies bounds the number of larger bodies held at once. Without it every
	// connection could occupy MaxBody. A further one ends the connection of one that is
	// still being read.
	maxLargeBodies = 16
	// expiryGrace is the time between the end of a handler's context and the answer in
	// its place, so that a handler that obeys its context can answer itself.
	expiryGrace = time.Second
)

// handler is the HTTP handler of an RPC port. It accepts calls, refuses other
// requests, and answers each request exactly once.
type handler struct {
	cfg    Config
	counts *counts
	local  string
	serve  atomic.Pointer[func(transport.Socket)]
	bodies *connlimit.Places // of large bodies in memory
	log    *limitedLog
}

func newHandler(t *Transport, local string) *handler {
	return &handler{
		cfg:    t.cfg,
		counts: &t.counts,
		local:  local,
		bodies: t.bodies,
		log:    t.log,
	}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.counts.requests.Add(1)
	h.counts.inFlight.Add(1)
	defer h.counts.inFlight.Add(-1)
	conn := connlimit.Of(r)
	conn.Headed()
	f, no := h.admit(r)
	if no != nil {
		h.counts.refusedOther.Add(1)
		h.refuse(w, r, no)
		return
	}
	body, large, no := h.readBody(w, r)
	defer large.Release()
	if no != nil {
		h.counts.refusedBodies.Add(1)
		h.refuse(w, r, no)
		return
	}
	env, body, err := f.open(body)
	if err != nil {
		h.counts.refusedOther.Add(1)
		h.refuse(w, r, &refusal{http.StatusBadRequest, err.Error()})
		return
	}
	large.Serve()
	conn.Serve()
	defer conn.Wait()
	limit := h.handlerTimeout(r.Header)
	s := &socket{handler: h, w: w, r: r, form: f, envelope: env, endpoint: endpoint(r.Header)}
	if env != nil {
		s.endpoint = env.method
	}
	s.msg = transport.Message{Header: s.callHeader(limit), Body: body}
	h.call(s, limit)
}

// call makes go-micro's server handle the message of s, and answers in time.
func (h *handler) call(s *socket, limit time.Duration) {
	s.expiring.Add(1)
	s.timer = time.AfterFunc(limit+expiryGrace, s.expire)
	defer s.end()
	(*h.serve.Load())(s)
}

// refusal tells why a request is refused.
type refusal struct {
	status int
	detail string
}

// admit checks a request without its body. It returns how a call is written.
func (h *handler) admit(r *http.Request) (f form, no *refusal) {
	if r.Method != http.MethodPost {
		return f, &refusal{http.StatusMethodNotAllowed, "calls are sent by POST"}
	}
	f, err := formOf(r.Header)
	switch {
	case headerSize(r.Header) > h.cfg.MaxHeader:
		return f, &refusal{http.StatusRequestHeaderFieldsTooLarge, "the header is longer than " + strconv.Itoa(h.cfg.MaxHeader) + " bytes"}
	case err != nil:
		return f, &refusal{http.StatusUnsupportedMediaType, err.Error()}
	case has(r.Header, "Micro-Stream", "X-Micro-Stream"):
		return f, &refusal{http.StatusNotImplemented, "streams are not supported: make single calls"}
	case has(r.Header, "Micro-Topic", "X-Micro-Topic"):
		return f, &refusal{http.StatusForbidden, "events are not accepted here: publish them on the broker"}
	}
	return f, nil
}

// headerSize returns the approximate size of h on the wire, in bytes.
func headerSize(h http.Header) (n int) {
	for k, vs := range h {
		for _, v := range vs {
			n += len(k) + len(v) + len(": \r\n")
		}
	}
	return n
}

func has(h http.Header, keys ...string) bool {
	for _, k := range keys {
		if v := h[k]; len(v) > 0 && v[0] != "" {
			return true
		}
	}
	return false
}
