package transport

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

// endpointHeaders are where go-micro's clients of all ages name the endpoint,
// newest first.
var endpointHeaders = [...]string{"Micro-Endpoint", "X-Micro-Endpoint", "Micro-Method", "X-Micro-Method"}

// limitHeader tells Recover in nanoseconds how long the handler may run. A
// header Timeout would make the server end the handler's context as soon as the
// message says Connection: close, which is at once.
const limitHeader = "Micro-Limit"

// callHeader makes the header of the message for go-micro's server from that of
// the request: the first value of each key, without the keys that would let a
// caller choose how the server treats the message.
func callHeader(r *http.Request, kind string, limit time.Duration) map[string]string {
	h := r.Header
	out := make(map[string]string, len(h)+5)
	for k, v := range h {
		if len(v) > 0 && !reserved(k) {
			out[k] = v[0]
		}
	}
	out["Micro-Endpoint"] = endpoint(h)
	// Handlers that let callers in without a token want to know whom the caller
	// believes to speak to.
	out["Host"] = r.Host
	out["Content-Type"] = kind
	out[limitHeader] = strconv.FormatInt(int64(limit), 10)
	// A message without a protocol may reach the codecs of go-micro 1, which
	// believe any length that they read.
	out["Micro-Protocol"] = "mucp"
	// The server then serves this one message, waits for its handler and
	// returns. It would mix up the answers of two messages of one connection.
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

// reserved tells whether a request header must not reach go-micro's server:
// events, targets of go-micro 1, streams, errors, and what callHeader sets.
func reserved(key string) bool {
	switch key {
	case "Micro-Topic", "X-Micro-Topic", "Micro-Target", "X-Micro-Target",
		"Micro-Stream", "X-Micro-Stream", "Micro-Error", "X-Micro-Error",
		"Micro-Protocol", "X-Micro-Protocol", "Connection", "Timeout", limitHeader:
		return true
	}
	return false
}

// limit returns how long the handler may run: what the caller's Timeout header
// says in nanoseconds, at most WriteTimeout, which is also what a missing or
// senseless one means.
func (d *door) limit(h http.Header) time.Duration {
	n, err := strconv.ParseInt(h.Get("Timeout"), 10, 64)
	if err != nil || n <= 0 {
		return d.cfg.WriteTimeout
	}
	return min(time.Duration(n), d.cfg.WriteTimeout)
}

// readBody reads the whole body. If large is true, the body holds a slot of
// d.large that the caller must free, also after a refusal.
func (d *door) readBody(w http.ResponseWriter, r *http.Request) (body []byte, large bool, no *refusal) {
	length := r.ContentLength
	switch {
	case length > d.cfg.MaxBody:
		return nil, false, d.tooLong()
	case length == 0:
		return nil, false, nil
	case length > 0 && length <= smallBody:
		body = make([]byte, length)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, false, d.unread(err)
		}
		return body, false, nil
	}
	return d.readGrowing(http.MaxBytesReader(w, r.Body, d.cfg.MaxBody))
}

// readGrowing reads a body that is large or does not say how long it is. Memory
// grows with what has come in, never with what was announced.
func (d *door) readGrowing(from io.Reader) (body []byte, large bool, no *refusal) {
	body = make([]byte, 0, 4<<10)
	for {
		if len(body) == cap(body) {
			if !large && len(body) >= smallBody {
				select {
				case d.large <- struct{}{}:
					large = true
				default:
					return nil, false, &refusal{http.StatusServiceUnavailable, "too many long bodies at once, try again"}
				}
			}
			grown := make([]byte, len(body), min(2*int64(cap(body)), d.cfg.MaxBody+1))
			copy(grown, body)
			body = grown
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, large, nil
		}
		if err != nil {
			return nil, large, d.unread(err)
		}
	}
}

func (d *door) tooLong() *refusal {
	return &refusal{http.StatusRequestEntityTooLarge, "the body of a call is at most " + strconv.FormatInt(d.cfg.MaxBody, 10) + " bytes long"}
}

func (d *door) unread(err error) *refusal {
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return d.tooLong()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{http.StatusRequestTimeout, "the body of the call came too slowly"}
	}
	return &refusal{http.StatusBadRequest, "the body of the call is incomplete"}
}
