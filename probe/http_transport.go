package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/setting"
)

const (
	// ageLimit is how long a connection may be used, and idleLimit the interval from
	// which on none is kept. A new connection shows whether the target still accepts one,
	// what its name resolves to and which certificate it has.
	ageLimit  = time.Minute
	idleLimit = 30 * time.Second
	// plainIdleLimit is idleLimit without TLS. A kept connection takes 20 kB, and a new
	// one without TLS little work.
	plainIdleLimit = 10 * time.Second
	// maxHeader bounds the header of a response and the interim responses before it,
	// in bytes.
	maxHeader = 256 << 10
	// httpBuffer is the size of the two buffers of an HTTP/1.1 connection; streamWindow
	// and connWindow are what an HTTP/2 server may send ahead. All are in bytes.
	httpBuffer   = 1 << 10
	streamWindow = 64 << 10
	connWindow   = 128 << 10
)

// transportConfig is what an httpTransport is made of. It does not change.
type transportConfig struct {
	dial    dialFunc
	network string
	tls     *tls.Config // nil for the default
	proxy   func(*http.Request) (*url.URL, error)
	// oneRequest makes a connection for each request; http1 excludes HTTP/2.
	oneRequest, http1 bool
}

// httpTransport sends the requests of one monitor, one at a time, through an
// http.Transport. It remembers the connections, so that none is used after a failure,
// for too long, or if it holds what nobody asked for.
type httpTransport struct {
	config transportConfig
	// inner is replaced together with its connections: what is under way in it, such as
	// a stream of HTTP/2 that is being reset, concerns no later request. It is nil
	// before the first request.
	inner *http.Transport

	mu    sync.Mutex // guards conns
	conns []*httpConn
}

// clientTLS returns the configuration of a connection.
func (t *httpTransport) clientTLS() *tls.Config {
	c := t.config.tls.Clone()
	if c == nil {
		c = new(tls.Config)
	}
	if !t.config.http1 {
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	return c
}

// newInner returns an http.Transport without connections, for requests with or without
// TLS. Without, it saves the memory that HTTP/2 takes.
func (t *httpTransport) newInner(secure bool) *http.Transport {
	inner := &http.Transport{
		Proxy:                  t.config.proxy,
		OnProxyConnectResponse: checkConnect,
		DialContext:            t.dialPlain,
		DialTLSContext:         t.dialTLS,
		DisableKeepAlives:      t.config.oneRequest,
		DisableCompression:     true,
		MaxIdleConns:           1,
		MaxResponseHeaderBytes: maxHeader,
		ReadBufferSize:         httpBuffer,
		WriteBufferSize:        httpBuffer,
	}
	if secure {
		inner.TLSClientConfig = t.clientTLS()
		inner.ForceAttemptHTTP2 = !t.config.http1
		inner.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: streamWindow, MaxReceiveBufferPerConnection: connWindow}
	}
	return inner
}

// probeRun is what the connections that a probe opens need of it. It is a value of the
// context: http.Transport lets connections outlive their request.
type probeRun struct {
	ctx   context.Context
	watch *stopwatch
}

type probeRunKey struct{}

// startProbe returns the context for the requests of a probe.
func (t *httpTransport) startProbe(ctx context.Context, watch *stopwatch) context.Context {
	for _, c := range t.list() {
		if !c.reusable() {
			t.drop()
			break
		}
	}
	ctx = watch.tracing(ctx)
	return context.WithValue(ctx, probeRunKey{}, &probeRun{ctx, watch})
}

// RoundTrip implements http.RoundTripper.
func (t *httpTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Response != nil {
		// What follows a redirect on its connection must not be taken for the answer to
		// the next request.
		t.drop()
	}
	if t.inner == nil {
		t.inner = t.newInner(req.URL.Scheme == "https")
	}
	return t.inner.RoundTrip(req)
}

// drop closes all connections.
func (t *httpTransport) drop() {
	if t.inner != nil {
		t.inner.CloseIdleConnections()
		t.inner = nil
	}
	for _, c := range t.list() {
		_ = c.Close()
	}
}

func (t *httpTransport) list() []*httpConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.conns)
}

func (t *httpTransport) forget(c *httpConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns = slices.DeleteFunc(t.conns, func(other *httpConn) bool { return other == c })
}

// dialPlain opens a connection within the time of the probe, which net.Dialer divides
// among the addresses of a name. ctx, which has no deadline, says which probe it is.
func (t *httpTransport) dialPlain(ctx context.Context, _, address string) (net.Conn, error) {
	run := ctx.Value(probeRunKey{}).(*probeRun)
	run.watch.restart()
	raw, err := t.config.dial(run.watch.resolving(run.ctx), t.config.network, address)
	if err != nil {
		return nil, err
	}
	run.watch.lap(phaseConnect)
	c := &httpConn{Conn: raw, opened: time.Now(), forget: t.forget, asked: make(chan struct{})}
	t.mu.Lock()
	t.conns = append(t.conns, c)
	t.mu.Unlock()
	return c, nil
}

// dialTLS opens a connection with TLS. http.Transport would verify the zone of an
// address as part of its name.
func (t *httpTransport) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := t.dialPlain(ctx, network, address)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	run := ctx.Value(probeRunKey{}).(*probeRun)
	config := t.clientTLS()
	config.ServerName = cmp.Or(config.ServerName, setting.WithoutZone(host))
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(run.ctx); err != nil {
		_ = raw.Close()
		return nil, &handshakeError{err}
	}
	run.watch.lap(phaseTLS)
	return secure, nil
}

// checkConnect words the refusal of a proxy.
func checkConnect(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the proxy answered CONNECT with status %d", resp.StatusCode)
	}
	return nil
}

// portOf returns the port of a URL, by default that of its scheme.
func portOf(u *url.URL) string {
	if u.Scheme == "https" {
		return cmp.Or(u.Port(), "443")
	}
	return cmp.Or(u.Port(), "80")
}
