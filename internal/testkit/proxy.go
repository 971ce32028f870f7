package testkit

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
)

// HTTPProxy stands between a client and Consul and may refuse what a test picks.
type HTTPProxy struct {
	server *http.Server
	Addr   string
}

// NewHTTPProxy forwards to the agent unless refuse answers true.
func NewHTTPProxy(t testing.TB, to string, refuse func(r *http.Request, body []byte) bool) *HTTPProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	p := &HTTPProxy{Addr: l.Addr().String()}
	p.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || refuse(r, body) {
			http.Error(w, "refused by the test", http.StatusInternalServerError)
			return
		}
		out := r.Clone(r.Context())
		out.RequestURI = ""
		out.URL.Scheme, out.URL.Host = "http", to
		out.Body = io.NopCloser(bytes.NewReader(body))
		rsp, err := transport.RoundTrip(out)
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
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := p.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("proxy: %v", err)
		}
	}()
	t.Cleanup(func() {
		_ = p.server.Close()
		<-ended
		transport.CloseIdleConnections()
	})
	return p
}
