package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/microhq/monitor-srv/setting"
)

const (
	// idleLimit is how long an idle connection may be reused; ageLimit is how long a
	// connection may be used at all. A new connection shows whether the target still
	// accepts one, what its name resolves to and which certificate it has.
	idleLimit = 30 * time.Second
	ageLimit  = time.Minute
)

// httpTransport sends requests over HTTP/1.1, one at a time, and reuses one
// connection. It works on the goroutine of the caller, which costs about half of
// http.Transport with two goroutines for each connection. It holds no buffers between
// requests. Requests through a proxy use an http.Transport.
type httpTransport struct {
	dial    dialFunc
	network string
	// tls is nil for the default configuration.
	tls     *tls.Config
	buffers *buffers
	// proxy returns the proxy for a URL, or nil; a nil function means none for any
	// URL.
	proxy func(*url.URL) (*url.URL, error)
	// proxyTransport is created by the first request through a proxy.
	proxyTransport *http.Transport

	// prefetched is the response to the next request, which was sent already, or nil.
	prefetched *http.Response
	// stopwatch measures the current probe.
	stopwatch *stopwatch
	// idle is the connection that may be reused, or nil.
	idle *httpConn
	// began is when the current probe began, and gap the time since the previous one.
	began time.Time
	gap   time.Duration
}

// httpConn is a connection to one scheme, host and port.
type httpConn struct {
	net.Conn
	raw    net.Conn // below TLS
	state  *tls.ConnectionState
	target string
	opened time.Time
	// used is when the last response ended; zero before the first.
	used time.Time
}

// startProbe begins a probe.
func (l *httpTransport) startProbe() {
	now := time.Now()
	if !l.began.IsZero() {
		l.gap = now.Sub(l.began)
	}
	l.began = now
	l.stopwatch = startStopwatch()
}

// RoundTrip implements http.RoundTripper.
func (l *httpTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if resp := l.prefetched; resp != nil {
		l.prefetched = nil
		return resp, nil
	}
	if l.proxy != nil {
		proxy, err := l.proxy(req.URL)
		if err != nil {
			return nil, errors.New("the URL of the proxy is not valid")
		}
		if proxy != nil {
			return l.sendViaProxy(req)
		}
	}
	if c := l.take(req); c != nil {
		resp, err := l.exchange(req, c)
		if !errors.Is(err, errStale) {
			return resp, err
		}
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
	c, err := l.open(req)
	if err != nil {
		return nil, err
	}
	return l.exchange(req, c)
}

// viaProxy sends a request through a proxy.
func (l *httpTransport) sendViaProxy(req *http.Request) (*http.Response, error) {
	if l.proxyTransport == nil {
		config, err := l.config()
		if err != nil {
			return nil, err
		}
		l.proxyTransport = &http.Transport{
			Proxy:                  func(r *http.Request) (*url.URL, error) { return l.proxy(r.URL) },
			DialContext:            func(ctx context.Context, _, a string) (net.Conn, error) { return l.dial(ctx, l.network, a) },
			TLSClientConfig:        config,
			DisableCompression:     true,
			MaxIdleConns:           1,
			IdleConnTimeout:        idleLimit,
			MaxResponseHeaderBytes: maxHeader,
		}
	}
	return l.proxyTransport.RoundTrip(req.WithContext(l.stopwatch.tracing(req.Context())))
}

// config returns a copy of the TLS configuration.
func (l *httpTransport) config() (*tls.Config, error) {
	if l.tls == nil {
		return setting.TLS{}.Config()
	}
	return l.tls.Clone(), nil
}

// take returns the idle connection if the request may use it, and closes it
// otherwise.
func (l *httpTransport) take(req *http.Request) *httpConn {
	c := l.idle
	l.idle = nil
	if c == nil {
		return nil
	}
	fresh := time.Since(c.used) < idleLimit && time.Since(c.opened) < ageLimit
	if !fresh || c.target != targetOf(req.URL) || !retriable(req.Method) || !idleAndOpen(c.raw) {
		_ = c.Close()
		return nil
	}
	return c
}

// keep makes a connection idle after its last response was read completely.
func (l *httpTransport) keep(c *httpConn) {
	if l.gap >= idleLimit {
		// It would be idle for too long at the next probe.
		_ = c.Close()
		return
	}
	if l.idle != nil {
		_ = l.idle.Close()
	}
	c.used = time.Now()
	l.idle = c
}

// close closes the idle connections.
func (l *httpTransport) close() {
	if l.idle != nil {
		_ = l.idle.Close()
		l.idle = nil
	}
	if l.proxyTransport != nil {
		l.proxyTransport.CloseIdleConnections()
	}
}

// retriable reports whether a request may be repeated if a reused connection was
// closed without a response. Other requests get a new connection each.
func retriable(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// idleAndOpen reports whether a connection is open and has no unread bytes, which
// would belong to no request.
func idleAndOpen(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	still := false
	_ = rc.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		still = err == syscall.EAGAIN
	})
	return still
}

// open connects to the target of the request.
func (l *httpTransport) open(req *http.Request) (*httpConn, error) {
	if s := req.URL.Scheme; s != "http" && s != "https" {
		return nil, fmt.Errorf("scheme %q: want http or https", printable(s))
	}
	host, err := asciiHost(req.URL.Hostname())
	if err != nil {
		return nil, err
	}
	l.stopwatch.restart()
	ctx := l.stopwatch.resolving(req.Context())
	raw, err := l.dial(ctx, l.network, net.JoinHostPort(host, portOf(req.URL)))
	if err != nil {
		return nil, err
	}
	l.stopwatch.lap(phaseConnect)
	c := &httpConn{Conn: raw, raw: raw, target: targetOf(req.URL), opened: time.Now()}
	if req.URL.Scheme == "https" {
		config, err := l.config()
		if err == nil {
			err = c.handshake(ctx, config, host)
		}
		if err != nil {
			_ = raw.Close()
			return nil, err
		}
		l.stopwatch.lap(phaseTLS)
	}
	return c, nil
}

func (c *httpConn) handshake(ctx context.Context, config *tls.Config, host string) error {
	config.ServerName = cmp.Or(config.ServerName, host)
	secure := tls.Client(c.raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("tls handshake: %w", err)
	}
	state := secure.ConnectionState()
	c.Conn, c.state = secure, &state
	return nil
}

func targetOf(u *url.URL) string { return u.Scheme + "://" + u.Hostname() + " " + portOf(u) }

// portOf returns the port of a URL, by default that of its scheme.
func portOf(u *url.URL) string {
	if u.Scheme == "https" {
		return cmp.Or(u.Port(), "443")
	}
	return cmp.Or(u.Port(), "80")
}
