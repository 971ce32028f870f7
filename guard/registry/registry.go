// Package registry guards a go-micro registry, so that its callers never wait for
// it and its entries survive its outages. It also connects to Consul.
package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
	"github.com/microhq/monitor-srv/loglimit"
)

// Limits of a Registry. A process registers a handful of nodes and watches a
// handful of services. The limits keep a fault from growing without bound.
const (
	maxEntries      = 1024
	maxWatches      = 256
	maxQueries      = 64
	parallelUpdates = 8
	// A removal that fails for this long is given up. The node's TTL has removed it
	// by then.
	removalTimeout = 10 * time.Minute
)

// Config configures a Registry. Open is required.
type Config struct {
	// Name is returned by String, e.g. "consul". go-micro puts it into the metadata
	// of the service.
	Name string
	// Address is shown in errors and logs. It must not hold secrets. Empty for a
	// registry without an address, such as mdns.
	Address string
	// Open makes the inner registry. Run calls it until it succeeds, so it may fail.
	// It has to return soon after its context ends. The context lives as long as
	// Run; calls of the inner registry have to end with it.
	Open func(context.Context) (registry.Registry, error)
	// Timeout bounds each query. All removals at the end together get three quarters
	// of it, so that the whole stop stays within it. 0: 2 s.
	Timeout time.Duration
	// Heartbeat is the time between two renewals of a registered node, and between
	// two checks of the registry's health. 0: 5 s.
	Heartbeat time.Duration
	// RetryMin and RetryMax bound the delay before a failed call is repeated.
	// 0: 1 s and 5 s.
	RetryMin, RetryMax time.Duration
	// Logger logs when the registry becomes unavailable and available. Nil:
	// slog.Default.
	Logger *slog.Logger
}

func (cfg Config) withDefaults() Config {
	cfg.Timeout = cmp.Or(cfg.Timeout, 2*time.Second)
	cfg.Heartbeat = cmp.Or(cfg.Heartbeat, 5*time.Second)
	cfg.RetryMin = cmp.Or(cfg.RetryMin, guard.DefaultRetryMin)
	cfg.RetryMax = cmp.Or(cfg.RetryMax, guard.DefaultRetryMax)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	cfg.Name = cmp.Or(cfg.Name, "registry")
	if cfg.Open == nil {
		cfg.Open = func(context.Context) (registry.Registry, error) {
			return nil, errors.New("no registry is configured")
		}
	}
	return cfg
}

// wrap adds the registry's name and address to an error.
func (cfg Config) wrap(err error) error {
	where := cfg.Name
	if cfg.Address != "" {
		where += " at " + cfg.Address
	}
	return fmt.Errorf("%s: %w", where, guard.Shorten(err))
}

var (
	errNotOpen = errors.New("not opened yet")
	errStopped = errors.New("already stopped")
)

// Registry is a registry.Registry that never makes its callers wait for the inner
// registry. Register and Deregister record the desired entries and return. Run
// brings the inner registry to the newest desired entries, renews them, and restores
// them after the registry was unavailable or lost its data.
//
// A registered node is renewed as long as its owner calls Register at least once
// within its TTL, as go-micro's server and http broker do. The node of an owner that
// stops calling expires, as it would in the inner registry. A node without TTL is
// renewed until it is deregistered.
//
// Use a Registry in this order: New, Run in a goroutine, DeregisterAll, then end
// Run's context. Every method may be called at any time.
type Registry struct {
	cfg    Config
	state  *guard.StateTracker
	limit  loglimit.Limiter // of the log lines about it
	wake   chan struct{}    // wakes Run; has room for one
	slots  chan struct{}    // one per query in flight
	opened chan struct{}    // closed when inner is set
	tasks  guard.Tasks

	mu      sync.Mutex
	inner   registry.Registry // guarded by mu; set once
	opts    registry.Options  // guarded by mu
	entries map[string]*entry // guarded by mu; by node id
	watches map[*watch]bool   // guarded by mu
	pingErr error             // guarded by mu; of the last health check
	closed  bool              // guarded by mu; DeregisterAll was called
	ended   bool              // guarded by mu; Run has ended
}

var _ registry.Registry = (*Registry)(nil)

// New returns a registry that works once Run runs.
func New(cfg Config) *Registry {
	cfg = cfg.withDefaults()
	return &Registry{
		cfg:     cfg,
		state:   guard.NewStateTracker(cfg.wrap(errNotOpen).Error()),
		wake:    make(chan struct{}, 1),
		slots:   make(chan struct{}, maxQueries),
		opened:  make(chan struct{}),
		opts:    registry.Options{Context: context.Background(), Addrs: []string{cfg.Address}},
		entries: make(map[string]*entry),
		watches: make(map[*watch]bool),
	}
}

// Init records options for Options. It cannot change the address.
func (r *Registry) Init(opts ...registry.Option) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := r.opts
	for _, o := range opts {
		o(&changed)
	}
	if !slices.Equal(changed.Addrs, r.opts.Addrs) {
		return fmt.Errorf("changing the address of registry %s: it is fixed at start", r.cfg.Name)
	}
	r.opts = changed
	return nil
}

// Options returns the options that Init recorded, and the address.
func (r *Registry) Options() registry.Options {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opts
}

// String returns the name of the inner registry.
func (r *Registry) String() string { return r.cfg.Name }

// State tells whether the inner registry answers and holds every desired entry. The
// reason names it, e.g. "consul at 127.0.0.1:8500: connection refused".
func (r *Registry) State() guard.State { return r.state.State() }

// wakeRun makes Run look for updates that are due.
func (r *Registry) wakeRun() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
