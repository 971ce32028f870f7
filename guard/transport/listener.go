package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"go-micro.dev/v4/transport"

	"github.com/microhq/monitor-srv/connlimit"
)

// listener accepts calls over HTTP/1.1 on one address.
type listener struct {
	cfg     Config
	counts  *counts
	conns   *connlimit.Listener
	handler *handler
	srv     *http.Server
	ln      net.Listener // conns, with TLS if configured
	close   func() error
}

var _ transport.Listener = (*listener)(nil)

func newListener(t *Transport, ln net.Listener, config *tls.Config) *listener {
	g := t.conns.Listen(ln, t.log.warn)
	l := &listener{cfg: t.cfg, counts: &t.counts, conns: g, ln: g}
	if config != nil {
		l.ln = tls.NewListener(g, config)
	}
	l.handler = newHandler(t, ln.Addr().String())
	l.srv = newHTTPServer(t.cfg, l.handler)
	g.Attach(l.srv)
	l.close = sync.OnceValue(l.drain)
	return l
}

func newHTTPServer(cfg Config, handler http.Handler) *http.Server {
	// HTTP/2 would need further limits, and no stock client uses it.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:                      handler,
		Protocols:                    &protocols,
		DisableGeneralOptionsHandler: true,
		// The handler refuses headers longer than MaxHeader with an error that the
		// stock client understands. It would take that of net/http for a success.
		MaxHeaderBytes:    2 * cfg.MaxHeader,
		ReadHeaderTimeout: cfg.HeaderTimeout,
		ReadTimeout:       cfg.HeaderTimeout + cfg.BodyTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		// net/http logs faults of callers, without a limit.
		ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
}

// Addr returns the address that the listener is bound to.
func (l *listener) Addr() string { return l.conns.Addr().String() }

// Accept calls serve for each request, with a socket that holds one message. serve
// returns when it has sent the answer, or if there is none. Accept returns nil when
// the listener is closed.
func (l *listener) Accept(serve func(transport.Socket)) error {
	l.handler.serve.Store(&serve)
	err := l.srv.Serve(l.ln)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("accepting calls on %q: %w", l.Addr(), err)
}

// Close stops accepting calls at once, waits for those in flight, at most for
// DrainTimeout, and closes the remaining connections. The error tells how many calls
// were interrupted. Further calls of Close wait for the first and return its error.
func (l *listener) Close() error { return l.close() }

func (l *listener) drain() error {
	// Shutdown closes conns too, but only if Accept was called.
	closed := l.conns.Close()
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.DrainTimeout)
	defer cancel()
	drained := l.srv.Shutdown(ctx)
	if errors.Is(drained, context.DeadlineExceeded) {
		drained = fmt.Errorf("%d calls took longer than %v and were interrupted: %w", l.counts.inFlight.Load(), l.cfg.DrainTimeout, drained)
		_ = l.srv.Close()
	}
	if err := errors.Join(closed, drained); err != nil {
		return fmt.Errorf("closing the RPC port %q: %w", l.Addr(), err)
	}
	return nil
}
