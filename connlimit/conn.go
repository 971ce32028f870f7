package connlimit

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
)

// Conn is a connection that holds a place until it is closed. The methods of a nil Conn
// that are about its place do nothing.
type Conn struct {
	net.Conn
	place    *Place
	listener *Listener
	closed   atomic.Bool
	// inHeader is set while a header has begun to arrive and is not complete. Only the
	// goroutine that serves the connection uses it.
	inHeader bool
}

// Write writes to the client. The service waits for it meanwhile.
func (c *Conn) Write(b []byte) (int, error) {
	if c.place.wait() {
		defer c.place.Serve()
	}
	return c.Conn.Write(b)
}

// Close closes the connection and gives its place back. It may be called again.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.listener.gone(c)
	c.place.Release()
	return c.Conn.Close()
}

// Abort resets the connection: an orderly end would keep the socket for a minute, which
// is too much for a flood of connections. Whoever reads from it closes it.
func (c *Conn) Abort() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Conn.Close()
}

// Attach makes srv, which serves l, track the places of its connections.
func (l *Listener) Attach(srv *http.Server) {
	srv.ConnState = func(c net.Conn, state http.ConnState) { connOf(c).track(state) }
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, connOf(c))
	}
	srv.RegisterOnShutdown(l.stop)
}

type connKey struct{}

// Of returns the connection of a request whose server is attached to a Listener, or nil.
func Of(r *http.Request) *Conn {
	c, _ := r.Context().Value(connKey{}).(*Conn)
	return c
}

// connOf returns the Conn below c.
func connOf(c net.Conn) *Conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	own, _ := c.(*Conn)
	return own
}

// track follows the states that net/http reports.
func (c *Conn) track(state http.ConnState) {
	switch state {
	case http.StateActive:
		c.inHeader = true
		c.place.waitAnew()
	case http.StateIdle:
		c.place.Wait()
	case http.StateClosed:
		if c.inHeader {
			c.place.all.broken.Add(1)
		}
	}
}

// Headed notes that the header of a request is complete. It may be called again.
func (c *Conn) Headed() {
	if c != nil && c.inHeader {
		c.inHeader = false
		c.place.used()
	}
}

// Serve notes that the service works on a request: it does not wait for the client.
func (c *Conn) Serve() {
	if c != nil {
		c.Headed()
		c.place.Serve()
	}
}

// Wait notes that the service waits for the client: for the rest of a request, or for
// the answer to be read.
func (c *Conn) Wait() {
	if c != nil {
		c.place.Wait()
	}
}

// Source returns what the client counts as.
func (c *Conn) Source() netip.Addr {
	if c == nil {
		return netip.Addr{}
	}
	return c.place.source
}
