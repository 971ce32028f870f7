package broker

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/transport/headers"

	"github.com/microhq/monitor-srv/connlimit"
)

const (
	// Bodies up to this size, in bytes, are always read. A larger one needs one of so many
	// places, so that slow large bodies cannot use up the memory together. A further one
	// ends the connection of one that is still being read.
	smallEvent  = 16 << 10
	largeEvents = 32
)

// The paths that publishers post events to, today and to 2019.
const (
	currentPath = "/"
	olderPath   = "/_sub"
)

// olderTopic is the header of an event that names its topic for older publishers.
const olderTopic = ":topic"

// httpHandler takes the requests of publishers.
type httpHandler struct {
	cfg           HTTPConfig
	subscriptions *httpSubscriptions
	bodies        *connlimit.Places // of large bodies in memory
	counters      *counters
}

// refusal says why a request is refused.
type refusal struct {
	status int
	reason string
}

func (r *refusal) Error() string { return r.reason }

var (
	errPath         = &refusal{http.StatusNotFound, "post events to /"}
	errMethod       = &refusal{http.StatusMethodNotAllowed, "events are sent by POST"}
	errContentType  = &refusal{http.StatusUnsupportedMediaType, "the content type of an event is application/json"}
	errTooLarge     = &refusal{http.StatusRequestEntityTooLarge, "the event is too large"}
	errTooManyLarge = &refusal{http.StatusServiceUnavailable, "too many large events at once"}
	errTooSlow      = &refusal{http.StatusRequestTimeout, "the event did not arrive in time"}
	errNoEvent      = &refusal{http.StatusBadRequest, `it is not an event: want a JSON object with "Header", an object of strings, and "Body", the event in base64`}
	errNoID         = &refusal{http.StatusBadRequest, "the URL names no subscription: add ?id=ID, with the ID that the registry lists"}
	errNoTopic      = &refusal{http.StatusBadRequest, "the event has no topic"}
)

// ServeHTTP gives the event of a request to the subscription that it is for. The answer
// does not say whether there is one, but why its handler rejects the event.
func (h *httpHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn := connlimit.Of(r)
	conn.Headed()
	e, err := h.receive(w, r)
	conn.Serve()
	defer conn.Wait()
	if err != nil {
		h.counters.refused.Add(1)
		w.Header().Set("Allow", http.MethodPost)
		w.Header().Set("Connection", "close")
		http.Error(w, err.reason, err.status)
		return
	}
	if s := h.subscriptions.of(e.topic); s != nil && s.hasNode(r.URL.Query().Get("id")) {
		if rejected, ok := errors.AsType[Rejected](s.handler(e)); ok {
			http.Error(w, rejected.Error(), rejected.StatusCode())
		}
	}
}

// receive checks a request and returns its event.
func (h *httpHandler) receive(w http.ResponseWriter, r *http.Request) (event, *refusal) {
	switch {
	case r.URL.Path != currentPath && r.URL.Path != olderPath:
		return event{}, errPath
	case r.Method != http.MethodPost:
		return event{}, errMethod
	case !isJSON(r.Header.Get("Content-Type")):
		return event{}, errContentType
	case r.ContentLength > h.cfg.maxBody():
		return event{}, errTooLarge
	}
	body, large, err := h.readBody(w, r)
	defer large.Release()
	if err != nil {
		return event{}, err
	}
	large.Serve()
	e, err := decodeEvent(body, r.URL.Path == olderPath)
	if err == nil && r.URL.RawQuery == "" { // publishers of go-micro always send an id
		err = errNoID
	}
	return e, err
}

// decodeEvent decodes the body of a request.
func decodeEvent(body []byte, older bool) (event, *refusal) {
	var m *broker.Message
	if err := json.Unmarshal(body, &m); err != nil || m == nil {
		return event{}, errNoEvent // the details are of no use to a publisher
	}
	topic := m.Header[headers.Message]
	if older {
		topic = cmp.Or(m.Header[olderTopic], topic)
		delete(m.Header, olderTopic)
	}
	if topic == "" {
		return event{}, errNoTopic
	}
	m.Header[headers.Message] = topic
	return event{topic, m}, nil
}

// readBody reads the body within the limits of time and size. A large one holds a place
// that the caller must release, also after a refusal.
func (h *httpHandler) readBody(w http.ResponseWriter, r *http.Request) (body []byte, large *connlimit.Place, refused *refusal) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.cfg.BodyTimeout))
	in := http.MaxBytesReader(w, r.Body, h.cfg.maxBody())
	body = make([]byte, 0, max(512, min(r.ContentLength+1, smallEvent)))
	for {
		if len(body) == cap(body) {
			if cap(body) == smallEvent {
				conn := connlimit.Of(r)
				if large = h.bodies.Take(conn.Source(), conn.Abort); large == nil {
					return nil, nil, errTooManyLarge
				}
			}
			body = append(make([]byte, 0, nextSize(int64(cap(body)), h.cfg.maxBody())), body...)
		}
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, large, nil
		}
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			return nil, large, errTooLarge
		case err != nil:
			return nil, large, errTooSlow
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

// isJSON reports whether the content type is JSON or missing.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}
