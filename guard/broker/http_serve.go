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
	// A publisher's idle connection is kept this long.
	httpIdleTimeout = 2 * time.Minute
	// An event's handler only puts it into a queue, so this is for the answer.
	httpWriteTimeout = 10 * time.Second
	// The stock publishers send less than 1 KiB of header.
	maxHTTPHeader = 16 << 10
)

// httpServed is a port while it is served.
type httpServed struct {
	server *http.Server
	ended  chan struct{} // closed when stop is called
	tasks  sync.WaitGroup
}

// serveHTTPBroker serves l and renews the announcements until stop.
func serveHTTPBroker(f *httpFront, l net.Listener) *httpServed {
	cfg := f.cfg
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	run := &httpServed{ended: make(chan struct{})}
	run.server = &http.Server{
		Handler:                      f.door,
		Protocols:                    &protocols,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            cfg.HeaderTimeout,
		ReadTimeout:                  cfg.HeaderTimeout + cfg.BodyTimeout,
		WriteTimeout:                 cfg.HeaderTimeout + cfg.BodyTimeout + httpWriteTimeout,
		IdleTimeout:                  httpIdleTimeout,
		MaxHeaderBytes:               maxHTTPHeader,
		ErrorLog:                     log.New(warnWriter{f.link}, "", 0),
	}
	l = &httpGate{Listener: l, max: int64(cfg.MaxConns), count: f.count}
	if cfg.TLSConfig != nil {
		l = tls.NewListener(l, cfg.TLSConfig)
	}
	run.tasks.Go(func() {
		err := run.server.Serve(l)
		if !errors.Is(err, http.ErrServerClosed) {
			f.link.gone(err)
		}
	})
	run.tasks.Go(func() { run.renew(f) })
	return run
}

func (run *httpServed) renew(f *httpFront) {
	ticker := time.NewTicker(f.cfg.Renew)
	defer ticker.Stop()
	for {
		select {
		case <-run.ended:
			return
		case <-ticker.C:
		}
		if err := f.reg.renew(); err != nil {
			f.link.bound().warn("announcing a subscription failed", "", err)
		}
	}
}

// stop waits for the events in flight, at most limit, closes the rest and returns
// when the goroutines have ended.
func (run *httpServed) stop(limit time.Duration) error {
	close(run.ended)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := run.server.Shutdown(ctx)
	if err != nil {
		_ = run.server.Close()
	}
	run.tasks.Wait()
	return err
}

// warnWriter hands what net/http logs to the broker's log, where each kind is
// written at most once in ten seconds: it is what strangers provoke.
type warnWriter struct{ link *link }

func (w warnWriter) Write(line []byte) (int, error) {
	if b := w.link.bound(); b != nil {
		b.warn("the broker's port reports an error", "", errors.New(string(line)))
	}
	return len(line), nil
}

// httpGate is a listener that closes connections past max at once. Letting them
// wait would make publishers, which have no deadline, wait with them.
type httpGate struct {
	net.Listener
	max   int64
	open  atomic.Int64
	count *brokerCounts
}

// Accept answers the next connection that there is room for.
func (g *httpGate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g.open.Add(1) <= g.max {
			return &httpConn{Conn: conn, leave: func() { g.open.Add(-1) }}, nil
		}
		g.open.Add(-1)
		g.count.refused.Add(1)
		_ = conn.Close()
	}
}

type httpConn struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close closes the connection and makes room for another.
func (c *httpConn) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}
