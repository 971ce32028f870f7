package testkit

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
)

// HTTPProxy forwards requests to a server and refuses those that a test picks.
type HTTPProxy struct {
	// Address is host:port to which the client connects.
	Address string

	to        string
	refuse    func(r *http.Request, body []byte) bool
	transport *http.Transport
}

// NewHTTPProxy starts a proxy before the server at to. It answers 500 where refuse
// returns true and forwards everything else. It stops when the test ends.
func NewHTTPProxy(t testing.TB, to string, refuse func(r *http.Request, body []byte) bool) *HTTPProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &HTTPProxy{Address: l.Addr().String(), to: to, refuse: refuse, transport: &http.Transport{}}
	server := &http.Server{Handler: p}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("proxy: %v", err)
		}
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
		p.transport.CloseIdleConnections()
	})
	return p
}

// ServeHTTP refuses or forwards a request.
func (p *HTTPProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || p.refuse(r, body) {
		http.Error(w, "refused by the test", http.StatusInternalServerError)
		return
	}
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = "http", p.to
	out.Body = io.NopCloser(bytes.NewReader(body))
	rsp, err := p.transport.RoundTrip(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer rsp.Body.Close()
	for k, v := range rsp.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(rsp.StatusCode)
	_, _ = io.Copy(w, rsp.Body)
}
