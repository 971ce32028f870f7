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
	// Events up to this size, in bytes, are always taken in. A larger one needs one
	// of the places, so that slow large bodies cannot fill the memory together.
	smallEvent  = 16 << 10
	largeEvents = 32
)

// httpDoor is what stands before the stock broker's handler.
type httpDoor struct {
	stock   http.Handler
	max     int64 // bytes of a body
	body    time.Duration
	places  chan struct{} // one per large body in memory
	counter *brokerCounts
}

func newHTTPDoor(cfg HTTPConfig, stock http.Handler, counter *brokerCounts) *httpDoor {
	return &httpDoor{
		stock:   stock,
		max:     cfg.maxBody(),
		body:    cfg.BodyTimeout,
		places:  make(chan struct{}, largeEvents),
		counter: counter,
	}
}

var (
	errTooLarge = errors.New("the event is too large")
	errNoPlace  = errors.New("too many large events at once")
)

// ServeHTTP checks a request and hands a good one to the stock broker.
func (d *httpDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/":
		d.refuse(w, http.StatusNotFound, "events are posted to /")
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		d.refuse(w, http.StatusMethodNotAllowed, "events are posted")
		return
	case !isJSON(r.Header.Get("Content-Type")):
		d.refuse(w, http.StatusUnsupportedMediaType, "an event is application/json")
		return
	case r.ContentLength > d.max:
		d.refuse(w, http.StatusRequestEntityTooLarge, errTooLarge.Error())
		return
	}
	body, release, err := d.read(w, r)
	defer release()
	if err != nil {
		d.refuseBody(w, err)
		return
	}
	d.hand(w, r, body)
}

// hand gives the event to the stock broker. It dereferences a JSON null, and calls
// its own fault what is the sender's.
func (d *httpDoor) hand(w http.ResponseWriter, r *http.Request, body []byte) {
	if bytes.Equal(bytes.TrimSpace(body), []byte("null")) {
		d.refuse(w, http.StatusBadRequest, "it is no event")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := &stockAnswer{ResponseWriter: w}
	d.stock.ServeHTTP(answer, r)
	if answer.code != 0 {
		d.refuse(w, http.StatusBadRequest, "it is no event, or one without a topic")
	}
}

// read takes the body in, within its time and size. release has to be called when
// the body is not needed any more, also after an error.
func (d *httpDoor) read(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	release = func() {}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d.body))
	in := http.MaxBytesReader(w, r.Body, d.max)
	body = make([]byte, 0, max(512, min(r.ContentLength+1, smallEvent)))
	for {
		if len(body) == cap(body) {
			if cap(body) == smallEvent {
				select {
				case d.places <- struct{}{}:
					release = func() { <-d.places }
				default:
					return nil, release, errNoPlace
				}
			}
			body = append(make([]byte, 0, nextSize(int64(cap(body)), d.max)), body...)
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

// nextSize is the size of the next larger buffer: it stops once at smallEvent, and
// ends one byte past the limit, where the limit itself is noticed.
func nextSize(size, limit int64) int64 {
	next := 4 * size
	if size < smallEvent {
		next = min(next, smallEvent)
	}
	return min(next, max(limit+1, smallEvent))
}

func (d *httpDoor) refuseBody(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		d.refuse(w, http.StatusRequestEntityTooLarge, errTooLarge.Error())
	case errors.Is(err, errNoPlace):
		d.refuse(w, http.StatusServiceUnavailable, errNoPlace.Error())
	default:
		d.refuse(w, http.StatusRequestTimeout, "the event did not arrive in time")
	}
}

// refuse answers why there is nothing to be had, and closes the connection.
func (d *httpDoor) refuse(w http.ResponseWriter, code int, why string) {
	d.counter.refused.Add(1)
	w.Header().Set("Connection", "close")
	http.Error(w, why, code)
}

// isJSON tells whether the content type is JSON or not given.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// stockAnswer keeps what the stock broker answers to itself: it writes only when
// it refuses, and its words tell strangers of the inside.
type stockAnswer struct {
	http.ResponseWriter
	code int
}

func (a *stockAnswer) WriteHeader(code int) { a.code = code }

func (a *stockAnswer) Write(p []byte) (int, error) { return len(p), nil }
