package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/access"
)

// Limits of connections.
const (
	maxConns          = 512
	maxConnsOfAddress = 64
)

// conns are the open connections. At a limit, a new connection replaces one that waits
// for its client: of the address with the most connections, the one that has waited
// longest. So clients that are slow on purpose replace each other, and a client that
// sends its request immediately is served even if hundreds of others connect before the
// request is read.
type conns struct {
	mu   sync.Mutex
	open map[*conn]struct{} // guarded by mu
	of   map[netip.Addr]int // guarded by mu
}

func newConns() *conns {
	return &conns{open: make(map[*conn]struct{}), of: make(map[netip.Addr]int)}
}

// conn is one connection.
type conn struct {
	net.Conn
	all    *conns
	source netip.Addr
	// waiting is since when the service has been waiting for the client, zero while it
	// handles a request; guarded by all.mu.
	waiting time.Time
}

// limit returns a listener whose connections are counted.
func (c *conns) limit(l net.Listener) net.Listener { return &limited{l, c} }

type limited struct {
	net.Listener
	conns *conns
}

// Accept returns the next connection within the limits.
func (l *limited) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, evicted := l.conns.add(accepted)
		if evicted != nil {
			_ = evicted.Close()
		}
		if c != nil {
			return c, nil
		}
		_ = accepted.Close()
	}
}

// add counts a new connection. It returns nil if there is no room for it, and the
// connection to close for it, if any.
func (c *conns) add(accepted net.Conn) (added, evicted *conn) {
	source := access.Source(accepted.RemoteAddr().String())
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.of[source] >= maxConnsOfAddress:
		evicted = c.victim(func(o *conn) bool { return o.source == source })
	case len(c.open) >= maxConns:
		evicted = c.victim(func(*conn) bool { return true })
	}
	if evicted != nil {
		c.removeLocked(evicted)
	} else if c.of[source] >= maxConnsOfAddress || len(c.open) >= maxConns {
		return nil, nil
	}
	added = &conn{Conn: accepted, all: c, source: source, waiting: time.Now()}
	c.open[added] = struct{}{}
	c.of[source]++
	return added, evicted
}

// victim returns the connection to close first of those that match, or nil. c.mu is
// held.
func (c *conns) victim(match func(*conn) bool) *conn {
	var first *conn
	for o := range c.open {
		if o.waiting.IsZero() || !match(o) {
			continue
		}
		if first == nil || c.of[o.source] > c.of[first.source] ||
			c.of[o.source] == c.of[first.source] && o.waiting.Before(first.waiting) {
			first = o
		}
	}
	return first
}

// removeLocked removes a connection. c.mu is held.
func (c *conns) removeLocked(o *conn) {
	if _, ok := c.open[o]; !ok {
		return
	}
	delete(c.open, o)
	if c.of[o.source]--; c.of[o.source] == 0 {
		delete(c.of, o.source)
	}
}

// Close closes the connection and removes it.
func (c *conn) Close() error {
	c.all.mu.Lock()
	c.all.removeLocked(c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// wait sets whether the service waits for the client.
func (c *conn) wait(waits bool) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	switch {
	case !waits:
		c.waiting = time.Time{}
	case c.waiting.IsZero():
		c.waiting = time.Now()
	}
}

type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// serving marks the connection of a request as not waiting, until the returned function
// is called. Sending the rest of the answer and skipping the rest of the body depend on
// the client.
func serving(r *http.Request) (done func()) {
	return marked(r, false)
}

// reading marks the connection of a request as waiting for the body, until the returned
// function is called.
func reading(r *http.Request) (done func()) {
	return marked(r, true)
}

// marked marks the connection of a request as waiting or not, until the returned
// function is called.
func marked(r *http.Request, waiting bool) (done func()) {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok {
		return func() {}
	}
	c.wait(waiting)
	return func() { c.wait(!waiting) }
}
