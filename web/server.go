package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/monitor"
)

// Limits of the HTTP door, those of the threat model.
const (
	maxHeaderBytes  = 16 << 10
	maxBody         = monitor.MaxDefinition
	shutdownTimeout = time.Second
)

// timeouts say how long the service waits for a client. A slow one is cut off,
// an honest one is never near them.
type timeouts struct{ header, read, write, idle time.Duration }

// usual are those of the threat model.
func usual() timeouts {
	return timeouts{header: 5 * time.Second, read: 10 * time.Second, write: 30 * time.Second, idle: 60 * time.Second}
}

// Config of a Server. Address, Report and Log are required.
type Config struct {
	// Address to listen at, as host:port.
	Address string
	// Report tells how the instance is; it must not block. Status is set by the
	// Server.
	Report func() Report
	Log    *slog.Logger

	// Group holds the monitors. Without it there are no paths about monitors.
	Group *monitor.Group
	// Policy says who may change what. The zero Policy lets nobody.
	Policy access.Policy
	// Level is the verbosity of the log. Without it there is no /verbosity.
	Level *slog.LevelVar
	// Version is what /version answers: goma's version of this REST if empty.
	Version string
	// Hosts are names and addresses, without port, that clients may know the
	// service by, besides those of this machine and the one of Address.
	Hosts []string
}

// gomaVersion is the version of goma's REST.
const gomaVersion = "1.0"

// Server serves the HTTP door.
type Server struct {
	cfg      Config
	listener net.Listener
	hosts    hosts
	conns    *conns
	timeouts timeouts

	// slots bounds the changes under way, changes waits for them.
	slots   chan struct{}
	changes sync.WaitGroup
}

// Listen returns a Server that holds its address already, so that a port which
// is taken is an error at start.
func Listen(ctx context.Context, cfg Config) (*Server, error) {
	known, err := newHosts(cfg.Address, cfg.Hosts)
	if err != nil {
		return nil, fmt.Errorf("reading the hosts that clients may name: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("listening at %q: %w", cfg.Address, err)
	}
	if cfg.Version == "" {
		cfg.Version = gomaVersion
	}
	return &Server{
		cfg: cfg, listener: l,
		hosts: known,
		conns: newConns(), timeouts: usual(),
		slots: make(chan struct{}, maxChanges),
	}, nil
}

// Addr returns the address the Server listens at.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close frees the address of a Server that will not Run.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx ends and requests in flight are answered, or one second
// later.
func (s *Server) Run(ctx context.Context) error {
	srv := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: s.timeouts.header,
		ReadTimeout:       s.timeouts.read,
		WriteTimeout:      s.timeouts.write,
		IdleTimeout:       s.timeouts.idle,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
		ConnContext:       withConn,
		// It would answer before the Host is checked.
		DisableGeneralOptionsHandler: true,
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
	err := srv.Serve(s.conns.limit(s.listener))
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serving HTTP at %q: %w", s.Addr(), err)
	}
	if err := <-stopped; err != nil {
		s.cfg.Log.Warn("requests were cut off", "err", err)
	}
	s.awaitChanges()
	return nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	route := func(path string, m methods) { mux.Handle(path, m) }
	route("/healthz", methods{http.MethodGet: s.healthz})
	route("/readyz", methods{http.MethodGet: s.readyz})
	route("/version", methods{http.MethodGet: s.read(s.version)})
	if s.cfg.Level != nil {
		route("/verbosity", methods{
			http.MethodGet:  s.read(s.verbosity),
			http.MethodPut:  s.change(access.Admin, s.setVerbosity),
			http.MethodPost: s.change(access.Admin, s.setVerbosity),
		})
	}
	if s.cfg.Group != nil {
		route("/list", methods{http.MethodGet: s.read(s.list)})
		route("/register", methods{http.MethodPost: s.change(access.Operator, s.register)})
		route("/monitor/{id}", methods{
			http.MethodGet:    s.read(s.show),
			http.MethodPost:   s.change(access.Operator, s.control),
			http.MethodDelete: s.change(access.Operator, s.unregister),
		})
		route("/api/v1/monitors", methods{http.MethodGet: s.read(s.monitors)})
	}
	mux.HandleFunc("/", notFound)
	return mux
}
