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
)

// rpcListener takes calls over HTTP/1.1 on one address.
type rpcListener struct {
	cfg   Config
	count *transportCounts
	gate  *gate
	door  *door
	srv   *http.Server
	ln    net.Listener // gate, in TLS if there is any
	close func() error
}

var _ transport.Listener = (*rpcListener)(nil)

// connKey is the key of a request's *gateConn in its context.
type connKey struct{}

func connOf(r *http.Request) *gateConn {
	c, _ := r.Context().Value(connKey{}).(*gateConn)
	return c
}

func newRPCListener(t *Transport, ln net.Listener, config *tls.Config) *rpcListener {
	g := newGate(ln, t)
	l := &rpcListener{cfg: t.cfg, count: &t.count, gate: g, ln: g}
	if config != nil {
		l.ln = tls.NewListener(g, config)
	}
	l.door = newDoor(t, ln.Addr().String())
	l.srv = newHTTPServer(t.cfg, l.door)
	l.srv.RegisterOnShutdown(g.closeSilent)
	l.close = sync.OnceValue(l.drain)
	return l
}

func newHTTPServer(cfg Config, handler http.Handler) *http.Server {
	// HTTP/2 would bring limits of its own, and no stock client speaks it.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:                      handler,
		Protocols:                    &protocols,
		DisableGeneralOptionsHandler: true,
		// The door refuses what is longer than MaxHeader, in words that the stock
		// client understands. It takes the answer of net/http for a success.
		MaxHeaderBytes:    2 * cfg.MaxHeader,
		ReadHeaderTimeout: cfg.HeaderTimeout,
		ReadTimeout:       cfg.HeaderTimeout + cfg.BodyTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		ConnState: func(c net.Conn, state http.ConnState) {
			gateConnOf(c).track(state)
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, gateConnOf(c))
		},
		// What net/http logs is what callers did, a line for each of them.
		ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
}

// Addr returns the address that the listener is bound to.
func (l *rpcListener) Addr() string { return l.gate.Addr().String() }

// Accept gives each request to serve as a connection of its own with one
// message, and returns nil once the listener is closed. serve returns when it
// has sent the answer, or knows that there is none.
func (l *rpcListener) Accept(serve func(transport.Socket)) error {
	l.door.serve.Store(&serve)
	err := l.srv.Serve(l.ln)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("accepting calls on %q: %w", l.Addr(), err)
}

// Close stops taking calls at once, waits for those in flight, at most
// DrainTimeout, and closes what is left. If calls were cut, the error says how
// many. Further calls wait for the first and return what it returned.
func (l *rpcListener) Close() error { return l.close() }

func (l *rpcListener) drain() error {
	// Shutdown closes the gate too, but only if Accept was called.
	closed := l.gate.Close()
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.DrainTimeout)
	defer cancel()
	drained := l.srv.Shutdown(ctx)
	if errors.Is(drained, context.DeadlineExceeded) {
		drained = fmt.Errorf("%d calls took longer than %v and were cut: %w", l.count.inFlight.Load(), l.cfg.DrainTimeout, drained)
		_ = l.srv.Close()
	}
	if err := errors.Join(closed, drained); err != nil {
		return fmt.Errorf("closing the RPC port %q: %w", l.Addr(), err)
	}
	return nil
}
