package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// connLimiter is a listener with at most max open connections. It knows those without
// a request so far.
type connLimiter struct {
	net.Listener
	max    int64
	counts *counts
	log    *limitedLog
	close  func() error

	mu     sync.Mutex
	closed bool                      // guarded by mu
	silent map[*limitedConn]struct{} // guarded by mu; connections without a request
}

func newConnLimiter(ln net.Listener, t *Transport) *connLimiter {
	return &connLimiter{
		Listener: ln,
		max:      int64(t.cfg.MaxConns),
		counts:   &t.counts,
		log:      t.log,
		close:    sync.OnceValue(ln.Close),
		silent:   make(map[*limitedConn]struct{}),
	}
}

// Accept returns the next connection within the limit.
func (g *connLimiter) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				g.log.warn("accepting RPC connections failed", func() []any { return []any{"error", err} })
			}
			return nil, err
		}
		if g.counts.openConns.Add(1) <= g.max {
			return g.admit(c), nil
		}
		g.counts.openConns.Add(-1)
		g.refuse(c)
	}
}

func (g *connLimiter) admit(c net.Conn) net.Conn {
	gc := &limitedConn{Conn: c, limiter: g}
	g.mu.Lock()
	late := g.closed
	if !late {
		g.silent[gc] = struct{}{}
	}
	g.mu.Unlock()
	if late {
		_ = gc.Close()
	}
	return gc
}

func (g *connLimiter) refuse(c net.Conn) {
	g.counts.refusedConns.Add(1)
	g.log.warn("too many RPC connections: refusing new ones", func() []any {
		return []any{"remote", c.RemoteAddr().String(), "max", g.max}
	})
	// An orderly close would keep the socket for a minute, which is too much for a
	// flood of refused connections. A reset frees it at once.
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// Close stops accepting connections. Open ones stay open. It may be called again.
func (g *connLimiter) Close() error { return g.close() }

// closeSilent closes the connections without a request, now and in the future, so that
// a stop does not wait for them. The HTTP server must be shutting down, so that it
// does not serve a request that arrives on one of them meanwhile.
func (g *connLimiter) closeSilent() {
	g.mu.Lock()
	silent := g.silent
	g.silent, g.closed = nil, true
	g.mu.Unlock()
	for c := range silent {
		_ = c.Close()
	}
}

func (g *connLimiter) sawRequest(c *limitedConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.silent, c)
}

// limitedConn is a connection that counts for the limit until it is closed. Only the
// goroutine that serves it uses its fields, except closed.
type limitedConn struct {
	net.Conn
	limiter  *connLimiter
	active   bool // at least a part of a request header has arrived
	inHeader bool // a request header has begun to arrive and is not complete
	closed   atomic.Bool
}

func (c *limitedConn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.limiter.sawRequest(c)
	c.limiter.counts.openConns.Add(-1)
	return c.Conn.Close()
}

// track follows the states that net/http reports for the connection.
func (c *limitedConn) track(state http.ConnState) {
	switch state {
	case http.StateActive:
		c.inHeader = true
		if !c.active {
			c.active = true
			c.limiter.sawRequest(c)
		}
	case http.StateClosed:
		if c.inHeader {
			c.limiter.counts.brokenHeaders.Add(1)
		}
	}
}

// limitedConnOf returns the limited connection below c.
func limitedConnOf(c net.Conn) *limitedConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	gc, _ := c.(*limitedConn)
	return gc
}
