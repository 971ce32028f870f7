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

	"golang.org/x/net/idna"

	"github.com/microhq/monitor-srv/setting"
)

const (
	// idleLimit is how long a connection may lie idle and be used again, and
	// ageLimit how long it is used at all: a new one shows whether the target
	// still accepts one, what its name means now and which certificate it has.
	idleLimit = 30 * time.Second
	ageLimit  = time.Minute
)

// lane sends requests over HTTP/1.1, one at a time, and keeps one connection
// between them. It works on its caller's goroutine, which costs about half of
// what http.Transport costs with two goroutines for each connection, and it holds
// no buffer between requests. What goes through a proxy is left to an
// http.Transport.
type lane struct {
	dial    dialFunc
	network string
	// tls is nil for the defaults.
	tls     *tls.Config
	buffers *buffers
	// proxy tells which proxy to use for a URL, if any; nil means none ever.
	proxy func(*url.URL) (*url.URL, error)
	// proxied is made when the first request goes through a proxy.
	proxied *http.Transport

	// answered is the answer to the next request, which was sent before, or nil.
	answered *http.Response
	// watch measures the probe that is going on.
	watch *stopwatch
	// idle is the connection that is kept, or nil.
	idle *laneConn
	// began is when the last probe began, and gap how long after the one before.
	began time.Time
	gap   time.Duration
}

// laneConn is a connection to one scheme, host and port.
type laneConn struct {
	net.Conn
	raw    net.Conn // below TLS
	state  *tls.ConnectionState
	target string
	opened time.Time
	// used is when the last answer ended, zero before the first.
	used time.Time
}

// start begins a probe.
func (l *lane) start() {
	now := time.Now()
	if !l.began.IsZero() {
		l.gap = now.Sub(l.began)
	}
	l.began = now
	l.watch = startStopwatch()
}

// RoundTrip implements http.RoundTripper.
func (l *lane) RoundTrip(req *http.Request) (*http.Response, error) {
	if resp := l.answered; resp != nil {
		l.answered = nil
		return resp, nil
	}
	if l.proxy != nil {
		proxy, err := l.proxy(req.URL)
		if err != nil {
			return nil, errors.New("the URL of the proxy is not valid")
		}
		if proxy != nil {
			return l.viaProxy(req)
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
func (l *lane) viaProxy(req *http.Request) (*http.Response, error) {
	if l.proxied == nil {
		config, err := l.config()
		if err != nil {
			return nil, err
		}
		l.proxied = &http.Transport{
			Proxy:                  func(r *http.Request) (*url.URL, error) { return l.proxy(r.URL) },
			DialContext:            func(ctx context.Context, _, a string) (net.Conn, error) { return l.dial(ctx, l.network, a) },
			TLSClientConfig:        config,
			DisableCompression:     true,
			MaxIdleConns:           1,
			IdleConnTimeout:        idleLimit,
			MaxResponseHeaderBytes: maxHeader,
		}
	}
	return l.proxied.RoundTrip(req.WithContext(l.watch.tracing(req.Context())))
}

// config returns a configuration for TLS of the caller's own.
func (l *lane) config() (*tls.Config, error) {
	if l.tls == nil {
		return setting.TLS{}.Config()
	}
	return l.tls.Clone(), nil
}

// take returns the connection that is kept if the request may use it, and
// closes it otherwise.
func (l *lane) take(req *http.Request) *laneConn {
	c := l.idle
	l.idle = nil
	if c == nil {
		return nil
	}
	fresh := time.Since(c.used) < idleLimit && time.Since(c.opened) < ageLimit
	if !fresh || c.target != targetOf(req.URL) || !repeatable(req.Method) || !quiet(c.raw) {
		_ = c.Close()
		return nil
	}
	return c
}

// keep takes a connection whose last answer has been read to its end.
func (l *lane) keep(c *laneConn) {
	if l.gap >= idleLimit {
		// It would be too old for the next probe.
		_ = c.Close()
		return
	}
	if l.idle != nil {
		_ = l.idle.Close()
	}
	c.used = time.Now()
	l.idle = c
}

// close closes the connections that are kept.
func (l *lane) close() {
	if l.idle != nil {
		_ = l.idle.Close()
		l.idle = nil
	}
	if l.proxied != nil {
		l.proxied.CloseIdleConnections()
	}
}

// repeatable reports whether a request may be sent again when a kept connection
// gave no answer to it. Others get a new connection each.
func repeatable(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// quiet reports whether a connection is open and nothing waits to be read, which
// would belong to no request.
func quiet(c net.Conn) bool {
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

// open connects to where the request goes.
func (l *lane) open(req *http.Request) (*laneConn, error) {
	if s := req.URL.Scheme; s != "http" && s != "https" {
		return nil, fmt.Errorf("scheme %q: want http or https", printable(s))
	}
	host, err := asciiHost(req.URL.Hostname())
	if err != nil {
		return nil, err
	}
	l.watch.restart()
	ctx := l.watch.resolving(req.Context())
	raw, err := l.dial(ctx, l.network, net.JoinHostPort(host, portOf(req.URL)))
	if err != nil {
		return nil, err
	}
	l.watch.lap(phaseConnect)
	c := &laneConn{Conn: raw, raw: raw, target: targetOf(req.URL), opened: time.Now()}
	if req.URL.Scheme == "https" {
		config, err := l.config()
		if err == nil {
			err = c.handshake(ctx, config, host)
		}
		if err != nil {
			_ = raw.Close()
			return nil, err
		}
		l.watch.lap(phaseTLS)
	}
	return c, nil
}

func (c *laneConn) handshake(ctx context.Context, config *tls.Config, host string) error {
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

// portOf returns the port that a URL means.
func portOf(u *url.URL) string {
	if u.Scheme == "https" {
		return cmp.Or(u.Port(), "443")
	}
	return cmp.Or(u.Port(), "80")
}

// asciiHost returns the form of a host's name that DNS and certificates use.
func asciiHost(host string) (string, error) {
	for _, r := range host {
		if r >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(host)
			if err != nil {
				return "", fmt.Errorf("host %q: not an international name", printable(host))
			}
			return ascii, nil
		}
	}
	return host, nil
}
