package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// gate is a listener that keeps at most max connections open at once, and knows
// those that never sent a request.
type gate struct {
	net.Listener
	max   int64
	count *transportCounts
	rare  *rareLog
	close func() error

	mu     sync.Mutex
	closed bool                   // guarded by mu
	silent map[*gateConn]struct{} // guarded by mu; connections without a request so far
}

func newGate(ln net.Listener, t *Transport) *gate {
	return &gate{
		Listener: ln,
		max:      int64(t.cfg.MaxConns),
		count:    &t.count,
		rare:     t.rare,
		close:    sync.OnceValue(ln.Close),
		silent:   make(map[*gateConn]struct{}),
	}
}

// Accept returns the next connection that fits.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				g.rare.warn("accepting RPC connections fails", func() []any { return []any{"error", err} })
			}
			return nil, err
		}
		if g.count.openConns.Add(1) <= g.max {
			return g.admit(c), nil
		}
		g.count.openConns.Add(-1)
		g.refuse(c)
	}
}

func (g *gate) admit(c net.Conn) net.Conn {
	gc := &gateConn{Conn: c, gate: g}
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

func (g *gate) refuse(c net.Conn) {
	g.count.refusedConns.Add(1)
	g.rare.warn("too many RPC connections, refusing new ones", func() []any {
		return []any{"remote", c.RemoteAddr().String(), "max", g.max}
	})
	// A reset leaves nothing behind; an orderly close would keep the socket for
	// a minute, and refused connections come in floods.
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// Close stops taking connections. Open ones stay open. It may be called again.
func (g *gate) Close() error { return g.close() }

// closeSilent closes the connections that never sent a request, now and from now
// on: nothing can be lost with them, and a stop need not wait for them. The HTTP
// server must be shutting down, so that it serves no request that comes in
// meanwhile on one of them.
func (g *gate) closeSilent() {
	g.mu.Lock()
	silent := g.silent
	g.silent, g.closed = nil, true
	g.mu.Unlock()
	for c := range silent {
		_ = c.Close()
	}
}

func (g *gate) heard(c *gateConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.silent, c)
}

// gateConn is a connection that counts. Its fields but closed are used only by
// the goroutine that serves it.
type gateConn struct {
	net.Conn
	gate   *gate
	heard  bool // a request header, or a part of one, came in
	owing  bool // a request header was begun and has not become a request
	closed atomic.Bool
}

func (c *gateConn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.gate.heard(c)
	c.gate.count.openConns.Add(-1)
	return c.Conn.Close()
}

// track follows what net/http makes of the connection.
func (c *gateConn) track(state http.ConnState) {
	switch state {
	case http.StateActive:
		c.owing = true
		if !c.heard {
			c.heard = true
			c.gate.heard(c)
		}
	case http.StateClosed:
		if c.owing {
			c.gate.count.brokenHeaders.Add(1)
		}
	}
}

// gateConnOf returns the counting connection below c.
func gateConnOf(c net.Conn) *gateConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	gc, _ := c.(*gateConn)
	return gc
}
