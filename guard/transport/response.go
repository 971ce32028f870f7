package transport

import (
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go-micro.dev/v4/errors"
	"go-micro.dev/v4/transport"
	"golang.org/x/net/http/httpguts"

	"github.com/microhq/monitor-srv/text"
)

const (
	// portID is the id of errors that do not come from a handler. go-micro's server
	// uses it for its own errors.
	portID = "go.micro.server"
	// maxErrorHeader bounds the error in the header of an answer, in bytes. Some of
	// go-micro's errors repeat the request.
	maxErrorHeader = 4 << 10
)

// write writes the message of a handler. An error of a handler has status 200 and the
// header Micro-Error, as stock clients expect.
func (s *socket) write(m *transport.Message) {
	header, r := s.w.Header(), s.r
	for k, v := range m.Header {
		key := textproto.CanonicalMIMEHeaderKey(k)
		if _, echoed := r.Header[key]; !echoed && !isFraming(key) {
			header[key] = []string{headerValue(v)}
		}
	}
	failure := text.Clip(m.Header["Micro-Error"], maxErrorHeader, "")
	if failure != "" {
		setError(header, failure)
	}
	if id := r.Header["Micro-Id"]; len(id) > 0 {
		header["Micro-Id"] = id[:1]
	}
	body := m.Body
	if s.envelope != nil {
		body = s.envelope.wrap(body, failure)
	}
	s.handler.write(s.w, http.StatusOK, s.form.kind, body)
}

// fail answers with an error that does not come from a handler.
func (s *socket) fail(status int, detail string) {
	if s.envelope == nil {
		s.handler.fail(s.w, s.r, status, detail)
		return
	}
	failure := errors.New(portID, detail, int32(status)).Error()
	s.write(&transport.Message{Header: map[string]string{"Micro-Error": failure}})
}

// isFraming reports whether a header of a handler's message applies to one message or
// connection and must not be forwarded.
func isFraming(key string) bool {
	switch key {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Content-Length", "Te", "Trailer", "Upgrade",
		"Host", timeoutHeader, "Micro-Protocol", "Micro-Endpoint", "Micro-Method":
		return true
	}
	return false
}

// refuse answers a refused request.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, no *refusal) {
	h.log.warn("RPC request refused", func() []any {
		return []any{"remote", r.RemoteAddr, "status", no.status, "reason", no.detail}
	})
	if no.status == http.StatusMethodNotAllowed {
		w.Header()["Allow"] = []string{http.MethodPost}
	}
	if r.ContentLength != 0 {
		// Otherwise net/http would wait for the rest of the body first.
		w.Header()["Connection"] = []string{"close"}
	}
	h.fail(w, r, no.status, no.detail)
}

// fail answers with an error that does not come from a handler, in go-micro's JSON and
// with its HTTP status. The stock client ignores the error of any status but 200 and
// decodes an empty body, which in protobuf is a valid answer. It gets status 200 and
// the header Micro-Error, as for errors of handlers. A client with an envelope gets the
// status: it would read this JSON as an envelope.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, status int, detail string) {
	text := errors.New(portID, detail, int32(status)).Error()
	setError(w.Header(), text)
	f, err := formOf(r.Header)
	if has(r.Header, "Micro-Id") && has(r.Header, "Micro-Service") && (err != nil || f.wraps == bare) {
		status = http.StatusOK
	}
	h.write(w, status, "application/json", []byte(text))
}

func setError(header http.Header, text string) {
	text = headerValue(text)
	header["Micro-Error"], header["X-Micro-Error"] = []string{text}, []string{text}
}

// headerValue replaces what no header may hold: errors repeat names from bodies.
func headerValue(v string) string {
	if httpguts.ValidHeaderFieldValue(v) {
		return v
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, v)
}

// write writes an answer. It ignores errors: net/http closes a connection on which a
// write failed.
func (h *handler) write(w http.ResponseWriter, status int, kind string, body []byte) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.cfg.WriteTimeout))
	header := w.Header()
	header["Content-Type"] = []string{kind}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
