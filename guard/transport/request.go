package transport

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/microhq/monitor-srv/connlimit"
)

// endpointHeaders are the headers that name the endpoint in the versions of go-micro,
// newest first.
var endpointHeaders = [...]string{"Micro-Endpoint", "X-Micro-Endpoint", "Micro-Method", "X-Micro-Method"}

// timeoutHeader passes the handler's timeout to Recover, in nanoseconds. With a header
// Timeout the server would end the handler's context at once, because the message
// says Connection: close.
const timeoutHeader = "Micro-Limit"

// callHeader makes the header of the message for go-micro's server from that of the
// request: the first value of each key, without the keys by which a caller could
// choose how the server handles the message.
func (s *socket) callHeader(limit time.Duration) map[string]string {
	h := s.r.Header
	out := make(map[string]string, len(h)+5)
	for k, v := range h {
		if len(v) > 0 && !isReserved(k) {
			out[k] = v[0]
		}
	}
	out["Micro-Endpoint"] = s.endpoint
	// Handlers that accept callers without a token check the host that the caller has
	// addressed.
	out["Host"] = s.r.Host
	out["Content-Type"] = s.form.codec
	out[timeoutHeader] = strconv.FormatInt(int64(limit), 10)
	// A message without a protocol may reach the codecs of go-micro 1, which trust any
	// length that they read.
	out["Micro-Protocol"] = "mucp"
	// The server then handles one message, waits for its handler and returns. It would
	// mix up the answers to two messages of one connection.
	out["Connection"] = "close"
	return out
}

// endpoint returns the endpoint that a call names, such as "Monitor.Status".
func endpoint(h http.Header) string {
	for _, k := range endpointHeaders {
		if v := h[k]; len(v) > 0 && v[0] != "" {
			return v[0]
		}
	}
	return ""
}

// isReserved reports whether a request header must not reach go-micro's server:
// events, targets of go-micro 1, streams, errors, and the headers of callHeader.
func isReserved(key string) bool {
	switch key {
	case "Micro-Topic", "X-Micro-Topic", "Micro-Target", "X-Micro-Target",
		"Micro-Stream", "X-Micro-Stream", "Micro-Error", "X-Micro-Error",
		"Micro-Protocol", "X-Micro-Protocol", "Connection", "Timeout", timeoutHeader:
		return true
	}
	return false
}

// handlerTimeout returns the timeout of a handler: the caller's Timeout header in
// nanoseconds, at most WriteTimeout. A missing or invalid header means WriteTimeout.
func (h *handler) handlerTimeout(header http.Header) time.Duration {
	n, err := strconv.ParseInt(header.Get("Timeout"), 10, 64)
	if err != nil || n <= 0 {
		return h.cfg.WriteTimeout
	}
	return min(time.Duration(n), h.cfg.WriteTimeout)
}

// readBody reads the whole body. A large one holds a place that the caller must release,
// also after a refusal.
func (h *handler) readBody(w http.ResponseWriter, r *http.Request) (body []byte, large *connlimit.Place, no *refusal) {
	length := r.ContentLength
	switch {
	case length > h.cfg.MaxBody:
		return nil, nil, h.tooLong()
	case length == 0:
		return nil, nil, nil
	case length > 0 && length <= smallBody:
		body = make([]byte, length)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, nil, h.bodyError(err)
		}
		return body, nil, nil
	}
	return h.readGrowing(http.MaxBytesReader(w, r.Body, h.cfg.MaxBody), connlimit.Of(r))
}

// readGrowing reads a body that is large or of unknown length. The buffer grows with
// the bytes that have arrived, never by the announced length.
func (h *handler) readGrowing(from io.Reader, conn *connlimit.Conn) (body []byte, large *connlimit.Place, no *refusal) {
	body = make([]byte, 0, 4<<10)
	for {
		if len(body) == cap(body) {
			if large == nil && len(body) >= smallBody {
				if large = h.bodies.Take(conn.Source(), conn.Abort); large == nil {
					return nil, nil, &refusal{http.StatusServiceUnavailable, "too many large bodies at once: try again"}
				}
			}
			grown := make([]byte, len(body), min(2*int64(cap(body)), h.cfg.MaxBody+1))
			copy(grown, body)
			body = grown
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, large, nil
		}
		if err != nil {
			return nil, large, h.bodyError(err)
		}
	}
}

func (h *handler) tooLong() *refusal {
	return &refusal{http.StatusRequestEntityTooLarge, "the body is longer than " + strconv.FormatInt(h.cfg.MaxBody, 10) + " bytes"}
}

func (h *handler) bodyError(err error) *refusal {
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return h.tooLong()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{http.StatusRequestTimeout, "the body did not arrive in time"}
	}
	return &refusal{http.StatusBadRequest, "the body is incomplete"}
}
