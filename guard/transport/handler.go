package transport

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go-micro.dev/v4/transport"
)

const (
	// smallBody is the size in bytes up to which every request body is held in memory.
	smallBody = 64 << 10
	// maxLargeBodies bounds the number of larger bodies held at once. Without it every
	// connection could occupy MaxBody.
	maxLargeBodies = 16
	// expiryGrace is the time between the end of a handler's context and the answer in
	// its place, so that a handler that obeys its context can answer itself.
	expiryGrace = time.Second
)

// handler is the HTTP handler of an RPC port. It accepts calls, refuses other
// requests, and answers each request exactly once.
type handler struct {
	cfg        Config
	counts     *counts
	local      string
	serve      atomic.Pointer[func(transport.Socket)]
	largeSlots chan struct{} // one per large body in memory
	log        *limitedLog
}

func newHandler(t *Transport, local string) *handler {
	return &handler{
		cfg:        t.cfg,
		counts:     &t.counts,
		local:      local,
		largeSlots: make(chan struct{}, maxLargeBodies),
		log:        t.log,
	}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.counts.requests.Add(1)
	h.counts.inFlight.Add(1)
	defer h.counts.inFlight.Add(-1)
	if c := requestConn(r); c != nil {
		c.inHeader = false
	}
	kind, no := h.admit(r)
	if no != nil {
		h.counts.refusedOther.Add(1)
		h.refuse(w, r, no)
		return
	}
	body, large, no := h.readBody(w, r)
	if large {
		defer func() { <-h.largeSlots }()
	}
	if no != nil {
		h.counts.refusedBodies.Add(1)
		h.refuse(w, r, no)
		return
	}
	limit := h.handlerTimeout(r.Header)
	msg := transport.Message{Header: callHeader(r, kind, limit), Body: body}
	h.call(&socket{handler: h, w: w, r: r, msg: msg}, limit)
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

// admit checks a request without its body. It returns the content type of a call.
func (h *handler) admit(r *http.Request) (kind string, no *refusal) {
	if r.Method != http.MethodPost {
		return "", &refusal{http.StatusMethodNotAllowed, "calls are sent by POST"}
	}
	kind, ok := contentType(r.Header)
	switch {
	case headerSize(r.Header) > h.cfg.MaxHeader:
		return "", &refusal{http.StatusRequestHeaderFieldsTooLarge, "the header is longer than " + strconv.Itoa(h.cfg.MaxHeader) + " bytes"}
	case !ok:
		return "", &refusal{http.StatusUnsupportedMediaType, "the content type must be application/json or application/protobuf"}
	case has(r.Header, "Micro-Stream", "X-Micro-Stream"):
		return "", &refusal{http.StatusNotImplemented, "streams are not supported: make single calls"}
	case has(r.Header, "Micro-Topic", "X-Micro-Topic"):
		return "", &refusal{http.StatusForbidden, "events are not accepted here: publish them on the broker"}
	case endpoint(r.Header) == "":
		return "", &refusal{http.StatusBadRequest, "the header Micro-Endpoint is missing"}
	}
	return kind, nil
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

// contentType returns the content type of h without parameters, in the spelling of
// go-micro's codecs.
func contentType(h http.Header) (kind string, ok bool) {
	kind = h.Get("Content-Type")
	if i := strings.IndexByte(kind, ';'); i >= 0 {
		kind = kind[:i]
	}
	kind = strings.TrimSpace(kind)
	for _, known := range [...]string{"application/protobuf", "application/json"} {
		if strings.EqualFold(kind, known) {
			return known, true
		}
	}
	return "", false
}

func has(h http.Header, keys ...string) bool {
	for _, k := range keys {
		if v := h[k]; len(v) > 0 && v[0] != "" {
			return true
		}
	}
	return false
}
