package transport

import (
	"net/http"
	"net/textproto"
	"strconv"
	"time"

	"go-micro.dev/v4/errors"
	"go-micro.dev/v4/transport"
)

const (
	// portID is the id of errors that come from the port and not from a
	// handler. go-micro's server signs its own errors so.
	portID = "go.micro.server"
	// maxErrorHeader is the longest error in bytes that an answer carries in
	// its header. Some of go-micro's errors repeat the request.
	maxErrorHeader = 4 << 10
)

// answer writes the message of a handler. An error of a handler is status 200
// with the header Micro-Error, as stock clients expect.
func (d *door) answer(w http.ResponseWriter, r *http.Request, m *transport.Message) {
	h := w.Header()
	for k, v := range m.Header {
		key := textproto.CanonicalMIMEHeaderKey(k)
		if _, echoed := r.Header[key]; !echoed && !framing(key) {
			h[key] = []string{v}
		}
	}
	if text := m.Header["Micro-Error"]; text != "" {
		setError(h, text[:min(len(text), maxErrorHeader)])
	}
	if id := r.Header["Micro-Id"]; len(id) > 0 {
		h["Micro-Id"] = id[:1]
	}
	kind := m.Header["Content-Type"]
	if kind == "" {
		kind, _ = contentType(r.Header)
	}
	d.write(w, http.StatusOK, kind, m.Body)
}

// framing tells whether a header of a handler's message is about one message or
// connection, so that it cannot be passed on.
func framing(key string) bool {
	switch key {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Content-Length", "Te", "Trailer", "Upgrade",
		"Host", limitHeader, "Micro-Protocol", "Micro-Endpoint", "Micro-Method":
		return true
	}
	return false
}

// refuse answers a request that is no call.
func (d *door) refuse(w http.ResponseWriter, r *http.Request, no *refusal) {
	d.rare.warn("refused a request to the RPC port", func() []any {
		return []any{"remote", r.RemoteAddr, "status", no.status, "reason", no.detail}
	})
	if no.status == http.StatusMethodNotAllowed {
		w.Header()["Allow"] = []string{http.MethodPost}
	}
	if r.ContentLength != 0 {
		// Otherwise net/http would wait for the rest of the body first.
		w.Header()["Connection"] = []string{"close"}
	}
	d.fault(w, r, no.status, no.detail)
}

// fault answers with an error of the port itself: with its HTTP status and in
// go-micro's JSON. The stock client loses the error of any status but 200 and
// goes on with an empty body, which in protobuf is a valid, empty answer; so it
// gets status 200 with the header Micro-Error, as it gets errors of handlers.
func (d *door) fault(w http.ResponseWriter, r *http.Request, status int, detail string) {
	text := errors.New(portID, detail, int32(status)).Error()
	setError(w.Header(), text)
	if has(r.Header, "Micro-Id") && has(r.Header, "Micro-Service") {
		status = http.StatusOK
	}
	d.write(w, status, "application/json", []byte(text))
}

func setError(h http.Header, text string) {
	h["Micro-Error"], h["X-Micro-Error"] = []string{text}, []string{text}
}

// write writes an answer as well as it can: a caller that is gone does not miss
// it, and net/http closes a connection on which writing failed.
func (d *door) write(w http.ResponseWriter, status int, kind string, body []byte) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d.cfg.WriteTimeout))
	h := w.Header()
	h["Content-Type"] = []string{kind}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
