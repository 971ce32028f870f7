package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// A publisher's idle connection is closed after this time.
	httpIdleTimeout = 2 * time.Minute
	// Handlers only queue events, so this time is for the response.
	httpWriteTimeout = 10 * time.Second
	// Stock publishers send less than 1 KiB of header.
	maxHTTPHeader = 16 << 10
)

// httpServer serves the listener of an httpBroker.
type httpServer struct {
	server *http.Server
	ended  chan struct{} // closed when stop is called
	tasks  sync.WaitGroup
}

// startHTTPServer serves l and renews the registrations until stop.
func startHTTPServer(b *httpBroker, l net.Listener) *httpServer {
	cfg := b.cfg
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s := &httpServer{ended: make(chan struct{})}
	s.server = &http.Server{
		Handler:                      &httpHandler{cfg, b.subscriptions, make(chan struct{}, largeEvents), &b.conn.broker.counters},
		Protocols:                    &protocols,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            cfg.HeaderTimeout,
		ReadTimeout:                  cfg.HeaderTimeout + cfg.BodyTimeout,
		WriteTimeout:                 cfg.HeaderTimeout + cfg.BodyTimeout + httpWriteTimeout,
		IdleTimeout:                  httpIdleTimeout,
		MaxHeaderBytes:               maxHTTPHeader,
		ErrorLog:                     log.New(errorLogWriter{b.conn.broker}, "", 0),
	}
	l = &connLimiter{Listener: l, max: int64(cfg.MaxConns), counters: &b.conn.broker.counters}
	if cfg.TLSConfig != nil {
		l = tls.NewListener(l, cfg.TLSConfig)
	}
	s.tasks.Go(func() {
		err := s.server.Serve(l)
		if !errors.Is(err, http.ErrServerClosed) {
			b.conn.setLost(err)
		}
	})
	s.tasks.Go(func() { s.renew(b) })
	return s
}

func (s *httpServer) renew(b *httpBroker) {
	ticker := time.NewTicker(b.cfg.Renew)
	defer ticker.Stop()
	for {
		select {
		case <-s.ended:
			return
		case <-ticker.C:
		}
		if err := b.subscriptions.renew(); err != nil {
			b.conn.broker.warn("registering a subscription failed", "", err)
		}
	}
}

// stop waits for the events in flight, at most for the timeout, closes the remaining
// connections, and returns when the goroutines have ended.
func (s *httpServer) stop(timeout time.Duration) error {
	close(s.ended)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if err != nil {
		_ = s.server.Close()
	}
	s.tasks.Wait()
	return err
}

// errorLogWriter writes the error log of net/http to the broker's log, which limits
// repeated lines.
type errorLogWriter struct{ b *Broker }

func (w errorLogWriter) Write(line []byte) (int, error) {
	w.b.warn("HTTP server error", "", errors.New(string(line)))
	return len(line), nil
}

// connLimiter is a listener that closes connections above max at once. If they waited,
// publishers, which have no deadline, would wait too.
type connLimiter struct {
	net.Listener
	max      int64
	open     atomic.Int64
	counters *counters
}

// Accept returns the next connection within the limit.
func (g *connLimiter) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g.open.Add(1) <= g.max {
			return &limitedConn{Conn: conn, release: func() { g.open.Add(-1) }}, nil
		}
		g.open.Add(-1)
		g.counters.refused.Add(1)
		_ = conn.Close()
	}
}

// limitedConn is a connection that counts for the limit until it is closed.
type limitedConn struct {
	net.Conn
	once    sync.Once
	release func()
}

// Close closes the connection. Another one may be accepted then.
func (c *limitedConn) Close() error {
	c.once.Do(c.release)
	return c.Conn.Close()
}
