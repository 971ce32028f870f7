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
	// smallBody is the length in bytes up to which any connection may hold a
	// request body in memory.
	smallBody = 64 << 10
	// maxLargeBodies is how many longer ones are held at once. Without it, each
	// connection could make us keep MaxBody.
	maxLargeBodies = 16
	// expiryGrace is how much later than its context a handler is given up, so
	// that one that obeys its context answers in its own words.
	expiryGrace = time.Second
)

// door is the HTTP handler of an RPC port: it lets calls in, refuses the rest,
// and sees that everyone gets one answer.
type door struct {
	cfg   Config
	count *transportCounts
	local string
	serve atomic.Pointer[func(transport.Socket)]
	large chan struct{} // a slot for each large body in memory
	rare  *rareLog
}

func newDoor(t *Transport, local string) *door {
	return &door{
		cfg:   t.cfg,
		count: &t.count,
		local: local,
		large: make(chan struct{}, maxLargeBodies),
		rare:  t.rare,
	}
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.count.requests.Add(1)
	d.count.inFlight.Add(1)
	defer d.count.inFlight.Add(-1)
	if c := connOf(r); c != nil {
		c.owing = false
	}
	kind, no := d.admit(r)
	if no != nil {
		d.count.refusedOther.Add(1)
		d.refuse(w, r, no)
		return
	}
	body, large, no := d.readBody(w, r)
	if large {
		defer func() { <-d.large }()
	}
	if no != nil {
		d.count.refusedBodies.Add(1)
		d.refuse(w, r, no)
		return
	}
	limit := d.limit(r.Header)
	msg := transport.Message{Header: callHeader(r, kind, limit), Body: body}
	d.call(&rpcSocket{door: d, w: w, r: r, msg: msg}, limit)
}

// call has the socket's one message served, and answered in time.
func (d *door) call(s *rpcSocket, limit time.Duration) {
	s.expiring.Add(1)
	s.timer = time.AfterFunc(limit+expiryGrace, s.expire)
	defer s.finish()
	(*d.serve.Load())(s)
}

// refusal says why a request is no call.
type refusal struct {
	status int
	detail string
}

// admit returns the bare content type of a request that looks like a call.
func (d *door) admit(r *http.Request) (kind string, no *refusal) {
	if r.Method != http.MethodPost {
		return "", &refusal{http.StatusMethodNotAllowed, "calls are made by POST"}
	}
	kind, ok := contentType(r.Header)
	switch {
	case headerSize(r.Header) > d.cfg.MaxHeader:
		return "", &refusal{http.StatusRequestHeaderFieldsTooLarge, "the header of a call is at most " + strconv.Itoa(d.cfg.MaxHeader) + " bytes long"}
	case !ok:
		return "", &refusal{http.StatusUnsupportedMediaType, "the content type of a call is application/json or application/protobuf"}
	case has(r.Header, "Micro-Stream", "X-Micro-Stream"):
		return "", &refusal{http.StatusNotImplemented, "streams are not served here, make single calls"}
	case has(r.Header, "Micro-Topic", "X-Micro-Topic"):
		return "", &refusal{http.StatusForbidden, "events are not taken here, publish them on the broker"}
	case endpoint(r.Header) == "":
		return "", &refusal{http.StatusBadRequest, "a call names its endpoint in the header Micro-Endpoint"}
	}
	return kind, nil
}

// headerSize returns about how long h was on the wire.
func headerSize(h http.Header) (n int) {
	for k, vs := range h {
		for _, v := range vs {
			n += len(k) + len(v) + len(": \r\n")
		}
	}
	return n
}

// contentType returns the content type of h without its parameters, spelt as
// go-micro's codecs are.
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
