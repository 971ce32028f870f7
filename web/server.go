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
	"github.com/microhq/monitor-srv/connlimit"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/loglimit"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/store"
)

// Limits of the HTTP server.
const (
	maxConns          = 512
	maxConnsOfAddress = 64

	maxHeaderBytes  = 16 << 10
	maxBody         = monitor.MaxDefinition
	shutdownTimeout = time.Second
)

// timeouts bound how long the service waits for a client. Normal clients stay far
// below them.
type timeouts struct{ header, read, write, idle time.Duration }

// usual returns the timeouts of a Server.
func usual() timeouts {
	return timeouts{header: 5 * time.Second, read: 10 * time.Second, write: 30 * time.Second, idle: 60 * time.Second}
}

// Config of a Server. Address, Report and Log are required.
type Config struct {
	// Address to listen on, as host:port.
	Address string
	// Report returns the state of the instance. It must not block. The Server sets
	// Status.
	Report func() Report
	Log    *slog.Logger

	// Receivers returns the state of the receivers of notifications, by name. Without it
	// there is no path for them.
	Receivers func() []delivery.ReceiverStatus
	// Group runs the monitors. Without it there are no paths for monitors.
	Group *monitor.Group
	// Store is the view of the fleet. Without it there are no paths for checks.
	Store *store.Store
	// Metrics answers /metrics, and Probe /probe. Without them there are no such paths.
	Metrics, Probe http.Handler
	// Policy decides who may change what. The zero Policy allows no changes.
	Policy access.Policy
	// Changes gets the lines about changes and wrong tokens; by default they go to Log.
	Changes *access.Log
	// Level is the verbosity of the log. Without it there is no /verbosity.
	Level *slog.LevelVar
	// Version is the answer of /version: goma's API version if empty.
	Version string
	// Program is the version of the program, in the VersionHeader of every answer.
	Program string
	// Hosts are accepted host names and addresses, without port, besides the loopback
	// ones and the one of Address.
	Hosts []string
}

// VersionHeader marks every answer as one of monitor-srv. It is not the header Server,
// which reverse proxies replace by their own.
const VersionHeader = "X-Monitor-Version"

// gomaVersion is the version of goma's API.
const gomaVersion = "1.0"

// Server serves HTTP.
type Server struct {
	cfg      Config
	listener net.Listener
	hosts    hosts
	door     *access.Door
	conns    *connlimit.Places
	timeouts timeouts

	// slots bounds the changes in progress, changes waits for them.
	slots   chan struct{}
	changes sync.WaitGroup

	requests requests
}

// Listen returns a Server that listens on its address, so that a used port is an error
// at start.
func Listen(ctx context.Context, cfg Config) (*Server, error) {
	known, err := newHosts(cfg.Address, cfg.Hosts)
	if err != nil {
		return nil, fmt.Errorf("reading the accepted host names: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("listening on %q: %w", cfg.Address, err)
	}
	if cfg.Version == "" {
		cfg.Version = gomaVersion
	}
	if cfg.Changes == nil {
		cfg.Changes = access.NewLog(cfg.Log)
	}
	return &Server{
		cfg: cfg, listener: l,
		hosts: known, door: access.NewDoor(cfg.Policy, cfg.Changes),
		conns:    connlimit.NewPlaces(connlimit.Limits{Max: maxConns, Share: maxConnsOfAddress, Strict: true}),
		timeouts: usual(),
		slots:    make(chan struct{}, maxChanges),
	}, nil
}

// Addr returns the address that the Server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Connections returns the state of the connections.
func (s *Server) Connections() connlimit.State { return s.conns.State() }

// Close closes the listener of a Server that will not Run.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx ends. It then waits for the requests in flight, for at most one
// second.
func (s *Server) Run(ctx context.Context) error {
	srv := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: s.timeouts.header,
		ReadTimeout:       s.timeouts.read,
		WriteTimeout:      s.timeouts.write,
		IdleTimeout:       s.timeouts.idle,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
		// It would answer before the check of the Host.
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
	var limit loglimit.Limiter
	l := s.conns.Listen(s.listener, func(msg string, attrs func() []any) { limit.Log(s.cfg.Log, slog.LevelWarn, msg, attrs) })
	l.Attach(srv)
	err := srv.Serve(l)
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serving HTTP on %q: %w", s.Addr(), err)
	}
	if err := <-stopped; err != nil {
		s.cfg.Log.Warn("requests aborted at shutdown", "err", err)
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
	if s.cfg.Receivers != nil {
		route("/api/v1/receivers", methods{http.MethodGet: s.read(s.receivers)})
	}
	if s.cfg.Group != nil {
		route("/list", methods{http.MethodGet: s.read(s.list)})
		route("/register", methods{http.MethodPost: s.change(access.Operator, s.register)})
		route("/monitor/{monitor}", methods{
			http.MethodGet:    s.read(s.show),
			http.MethodPost:   s.change(access.Operator, s.control),
			http.MethodDelete: s.change(access.Operator, s.unregister),
		})
		route("/api/v1/monitors", methods{http.MethodGet: s.read(s.monitors)})
	}
	if s.cfg.Store != nil {
		route("/api/v1/healthchecks", methods{http.MethodGet: s.read(s.healthChecks)})
		route("/api/v1/status", methods{http.MethodGet: s.read(s.nodeStatuses)})
	}
	if s.cfg.Metrics != nil {
		route("/metrics", methods{http.MethodGet: s.read(s.cfg.Metrics.ServeHTTP)})
	}
	if s.cfg.Probe != nil {
		route("/probe", methods{http.MethodGet: s.read(s.cfg.Probe.ServeHTTP)})
	}
	mux.HandleFunc("/", notFound)
	return mux
}
