package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
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
	cfg, guarded := b.cfg, b.conn.broker
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s := &httpServer{ended: make(chan struct{})}
	s.server = &http.Server{
		Handler:                      &httpHandler{cfg, b.subscriptions, b.bodies, &guarded.counters},
		Protocols:                    &protocols,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            cfg.HeaderTimeout,
		ReadTimeout:                  cfg.HeaderTimeout + cfg.BodyTimeout,
		WriteTimeout:                 cfg.HeaderTimeout + cfg.BodyTimeout + httpWriteTimeout,
		IdleTimeout:                  httpIdleTimeout,
		MaxHeaderBytes:               maxHTTPHeader,
		ErrorLog:                     log.New(errorLogWriter{guarded}, "", 0),
	}
	shared := b.conns.Listen(l, func(msg string, attrs func() []any) {
		guarded.limit.Log(cfg.Logger, slog.LevelWarn, msg, attrs)
	})
	shared.Attach(s.server)
	l = shared
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
