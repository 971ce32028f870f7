package connlimit

import (
	"errors"
	"maps"
	"net"
	"sync"
	"time"
)

// stopGrace is how long a stop waits for a client.
const stopGrace = 500 * time.Millisecond

// Warn logs a line that clients cause, if the limit of such lines allows it. attrs is
// called only then.
type Warn func(msg string, attrs func() []any)

// Listener is a listener whose connections hold Places.
type Listener struct {
	net.Listener
	places *Places
	warn   Warn
	close  func() error

	mu    sync.Mutex
	open  map[*Conn]struct{} // guarded by mu
	ended bool               // guarded by mu; new connections are closed
}

// Listen returns a Listener on l. Its connections hold places of p.
func (p *Places) Listen(l net.Listener, warn Warn) *Listener {
	return &Listener{Listener: l, places: p, warn: warn, close: sync.OnceValue(l.Close), open: make(map[*Conn]struct{})}
}

// Accept returns the next connection that gets a place.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				l.warn("accepting connections failed", func() []any { return []any{"address", l.Addr().String(), "error", err} })
			}
			return nil, err
		}
		if c := l.admit(accepted); c != nil {
			return c, nil
		}
	}
}

// admit returns the connection with its place, or nil if there is none.
func (l *Listener) admit(accepted net.Conn) *Conn {
	c := &Conn{Conn: accepted, listener: l}
	if c.place = l.places.Take(Source(accepted.RemoteAddr().String()), c.Abort); c.place == nil {
		l.warn("refusing connections: all are being served", func() []any {
			return []any{"address", l.Addr().String(), "remote", accepted.RemoteAddr().String(), "connections", l.places.State().Held}
		})
		c.Abort()
		return nil
	}
	l.mu.Lock()
	late := l.ended
	l.open[c] = struct{}{}
	l.mu.Unlock()
	if late {
		_ = c.Close()
	}
	return c
}

// Close stops accepting connections. Open ones stay open. It may be called again.
func (l *Listener) Close() error { return l.close() }

// stop closes connections so that the stop of an HTTP server does not wait for clients:
// new ones, and those that have kept the service waiting for stopGrace, for a request or
// with an answer. It returns when no connection is open.
func (l *Listener) stop() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	const look = 100 * time.Millisecond
	for tick := time.Tick(look); l.endSlow(); <-tick {
	}
}

// endSlow closes the connections that have kept the service waiting for stopGrace, and
// reports whether any connection was open.
func (l *Listener) endSlow() bool {
	l.mu.Lock()
	all := maps.Clone(l.open)
	l.mu.Unlock()
	for c := range all {
		if c.place.waits(stopGrace) {
			c.Abort()
		}
	}
	return len(all) > 0
}

// gone notes that a connection is closed.
func (l *Listener) gone(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}
