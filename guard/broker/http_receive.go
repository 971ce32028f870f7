package broker

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
)

const (
	// Bodies up to this size, in bytes, are always read. A larger one needs a slot, so
	// that slow large bodies cannot use up the memory together.
	smallEvent  = 16 << 10
	largeEvents = 32
)

// httpHandler checks requests before the stock broker's handler.
type httpHandler struct {
	stock       http.Handler
	maxBody     int64 // of a request, in bytes
	bodyTimeout time.Duration
	largeSlots  chan struct{} // one per large body in memory
	counters    *counters
}

func newHTTPHandler(cfg HTTPConfig, stock http.Handler, counter *counters) *httpHandler {
	return &httpHandler{
		stock:       stock,
		maxBody:     cfg.maxBody(),
		bodyTimeout: cfg.BodyTimeout,
		largeSlots:  make(chan struct{}, largeEvents),
		counters:    counter,
	}
}

var (
	errTooLarge     = errors.New("the event is too large")
	errTooManyLarge = errors.New("too many large events at once")
)

// ServeHTTP checks a request and forwards a valid one to the stock broker.
func (h *httpHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/":
		h.refuse(w, http.StatusNotFound, "post events to /")
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		h.refuse(w, http.StatusMethodNotAllowed, "events are sent by POST")
		return
	case !isJSON(r.Header.Get("Content-Type")):
		h.refuse(w, http.StatusUnsupportedMediaType, "the content type of an event is application/json")
		return
	case r.ContentLength > h.maxBody:
		h.refuse(w, http.StatusRequestEntityTooLarge, errTooLarge.Error())
		return
	}
	body, release, err := h.readBody(w, r)
	defer release()
	if err != nil {
		h.refuseBody(w, err)
		return
	}
	h.forward(w, r, body)
}

// forward forwards the event to the stock broker, which would dereference a JSON null
// and answer 500 to invalid events.
func (h *httpHandler) forward(w http.ResponseWriter, r *http.Request, body []byte) {
	if bytes.Equal(bytes.TrimSpace(body), []byte("null")) {
		h.refuse(w, http.StatusBadRequest, "it is not an event")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	rsp := &discardedResponse{ResponseWriter: w}
	h.stock.ServeHTTP(rsp, r)
	if rsp.code != 0 {
		h.refuse(w, http.StatusBadRequest, "it is not an event or has no topic")
	}
}

// readBody reads the body within the limits of time and size. The caller calls release
// when it does not need the body any more, also after an error.
func (h *httpHandler) readBody(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	release = func() {}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.bodyTimeout))
	in := http.MaxBytesReader(w, r.Body, h.maxBody)
	body = make([]byte, 0, max(512, min(r.ContentLength+1, smallEvent)))
	for {
		if len(body) == cap(body) {
			if cap(body) == smallEvent {
				select {
				case h.largeSlots <- struct{}{}:
					release = func() { <-h.largeSlots }
				default:
					return nil, release, errTooManyLarge
				}
			}
			body = append(make([]byte, 0, nextSize(int64(cap(body)), h.maxBody)), body...)
		}
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, release, nil
		}
		if err != nil {
			return nil, release, err
		}
	}
}

// nextSize returns the next size of a growing buffer. The sizes include smallEvent and
// end at limit+1, where the limit is noticed.
func nextSize(size, limit int64) int64 {
	next := 4 * size
	if size < smallEvent {
		next = min(next, smallEvent)
	}
	return min(next, max(limit+1, smallEvent))
}

func (h *httpHandler) refuseBody(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		h.refuse(w, http.StatusRequestEntityTooLarge, errTooLarge.Error())
	case errors.Is(err, errTooManyLarge):
		h.refuse(w, http.StatusServiceUnavailable, errTooManyLarge.Error())
	default:
		h.refuse(w, http.StatusRequestTimeout, "the event did not arrive in time")
	}
}

// refuse answers with an error and closes the connection.
func (h *httpHandler) refuse(w http.ResponseWriter, code int, reason string) {
	h.counters.refused.Add(1)
	w.Header().Set("Connection", "close")
	http.Error(w, reason, code)
}

// isJSON reports whether the content type is JSON or missing.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// discardedResponse discards the response of the stock broker, which writes one only
// to refuse an event and then reveals internals.
type discardedResponse struct {
	http.ResponseWriter
	code int
}

func (r *discardedResponse) WriteHeader(code int) { r.code = code }

func (r *discardedResponse) Write(p []byte) (int, error) { return len(p), nil }
