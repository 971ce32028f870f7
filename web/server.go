package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Time-outs and limits of the HTTP door. The figures are those of the threat
// model: a slow client is cut off, an honest one is never near them.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 16 << 10
	shutdownTimeout   = time.Second
)

// Config of a Server. All fields are required.
type Config struct {
	// Address to listen at, as host:port.
	Address string
	// Report tells how the instance is; it must not block. Status is set by the
	// Server.
	Report func() Report
	Log    *slog.Logger
}

// Server serves the HTTP door.
type Server struct {
	cfg      Config
	listener net.Listener
}

// Listen returns a Server that holds its address already, so that a port which
// is taken is an error at start.
func Listen(ctx context.Context, cfg Config) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("listening at %q: %w", cfg.Address, err)
	}
	return &Server{cfg: cfg, listener: l}, nil
}

// Addr returns the address the Server listens at.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close frees the address of a Server that will not Run.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx ends and requests in flight are answered, or one second
// later.
func (s *Server) Run(ctx context.Context) error {
	srv := &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err := srv.Shutdown(grace)
		if err != nil {
			err = errors.Join(err, srv.Close())
		}
		stopped <- err
	})
	err := srv.Serve(s.listener)
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serving HTTP at %q: %w", s.Addr(), err)
	}
	if err := <-stopped; err != nil {
		s.cfg.Log.Warn("requests were cut off", "err", err)
	}
	return nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	return mux
}
