package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// Limits of a Registry. A process registers a handful of nodes and watches a
// handful of services; the figures only keep a fault from growing for ever.
const (
	maxEntries     = 1024
	maxWatches     = 256
	maxQuestions   = 64
	parallelWrites = 8
	// A node that is to be removed from a registry which stays away is forgotten
	// after this time: by then its TTL has removed it.
	removalLife = 10 * time.Minute
)

// RegistryConfig says which registry is guarded. Name and Open are needed: without
// Open the State says for ever that there is nothing to open.
type Config struct {
	// Name is what String answers, e.g. "consul". go-micro puts it into the
	// metadata of the service.
	Name string
	// Address is shown in reasons and logs. It holds no secrets. Empty: a registry
	// without an address, such as mdns.
	Address string
	// Open makes the inner registry. It is called by Run, again and again until it
	// succeeds, so it may fail, but it has to return soon after its context ends.
	// The context lives as long as Run: an inner registry abandons its calls with it.
	Open func(context.Context) (registry.Registry, error)
	// Timeout bounds each question. All removals at the end together get three
	// quarters of it, so that the whole stop stays within it. 0: 2 s.
	Timeout time.Duration
	// Heartbeat is the time between two renewals of a registered node, and between
	// two looks at the registry's own health. 0: 5 s.
	Heartbeat time.Duration
	// RetryMin and RetryMax bound the delay before a failed call is repeated.
	// 0: 1 s and 5 s.
	RetryMin, RetryMax time.Duration
	// Logger hears when the registry goes away and comes back. Nil: slog.Default.
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
			return nil, errors.New("there is nothing to open")
		}
	}
	return cfg
}

// named puts the registry's name before what is wrong with it.
func (cfg Config) named(err error) error {
	where := cfg.Name
	if cfg.Address != "" {
		where += " at " + cfg.Address
	}
	return fmt.Errorf("%s: %w", where, guard.Shorten(err))
}

// errNotOpen is what is wrong before the inner registry is there.
var errNotOpen = errors.New("not opened yet")

// Registry is a registry.Registry that never makes its callers wait for the
// registry behind it. Register and Deregister note a wish and return; Run brings
// the inner registry to the newest wishes, keeps it there, and puts everything
// back after the registry was away or lost its data.
//
// A registered node is renewed as long as its owner calls Register at least once
// within the TTL that it gave, as go-micro's server and http broker do. An owner
// that stops calling lets its node expire, as it would without this wrapper. A
// node without TTL is held until it is deregistered.
//
// The life of a Registry: NewRegistry, Run in a goroutine, DeregisterAll at the
// end, then the end of Run's context. Every method may be called at any time.
type Registry struct {
	cfg    Config
	health *guard.StateTracker
	wake   chan struct{} // has room for one: "there is something to do"
	slots  chan struct{} // one per question in flight
	opened chan struct{} // closed when inner is there
	tasks  sync.WaitGroup

	mu      sync.Mutex
	inner   registry.Registry    // guarded by mu; set once
	opts    registry.Options     // guarded by mu
	entries map[string]*regEntry // guarded by mu; by node id
	watches map[*regWatch]bool   // guarded by mu
	pinged  error                // guarded by mu; the last look at the inner registry
	warned  time.Time            // guarded by mu; when a reason was logged last
	closed  bool                 // guarded by mu; DeregisterAll was called
	ended   bool                 // guarded by mu; Run has ended
}

var _ registry.Registry = (*Registry)(nil)

// regEntry is the newest wish for one node and what became of it. Registry.mu
// guards it.
type regEntry struct {
	service *registry.Service // with this one node
	opts    []registry.RegisterOption
	remove  bool // the wish is that the node be gone
	ttl     time.Duration
	asked   time.Time // when the owner last said so
	wish    uint64    // counts the wishes
	next    time.Time // when to call next
	busy    chan struct{}
	held    bool // the registry may know the node
	err     error
	retry   guard.Backoff
}

// NewRegistry returns a registry that works once Run runs.
func New(cfg Config) *Registry {
	cfg = cfg.withDefaults()
	return &Registry{
		cfg:     cfg,
		health:  guard.NewStateTracker(cfg.named(errNotOpen).Error()),
		wake:    make(chan struct{}, 1),
		slots:   make(chan struct{}, maxQuestions),
		opened:  make(chan struct{}),
		opts:    registry.Options{Context: context.Background(), Addrs: []string{cfg.Address}},
		entries: make(map[string]*regEntry),
		watches: make(map[*regWatch]bool),
	}
}

// Init records options for Options. The address is fixed at construction.
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

// Options answers what Init recorded and the address.
func (r *Registry) Options() registry.Options {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opts
}

// String answers the name of the registry behind.
func (r *Registry) String() string { return r.cfg.Name }

// State tells whether the registry answers and holds every wish. The reason
// names it, e.g. "consul at 127.0.0.1:8500: connection refused".
func (r *Registry) State() guard.State { return r.health.State() }

// Register notes that every node of s shall be registered and returns at once.
// The newest call for a node id wins. It fails only for what no registry would
// take, and does nothing once DeregisterAll was called.
func (r *Registry) Register(s *registry.Service, opts ...registry.RegisterOption) error {
	if err := checkNodes(s); err != nil {
		return fmt.Errorf("registering a service: %w", err)
	}
	var o registry.RegisterOptions
	for _, opt := range opts {
		opt(&o)
	}
	return r.note(s, func(e *regEntry) {
		e.remove, e.opts, e.ttl = false, slices.Clone(opts), o.TTL
	})
}

// Deregister notes that no node of s shall be registered and returns at once.
func (r *Registry) Deregister(s *registry.Service, _ ...registry.DeregisterOption) error {
	if err := checkNodes(s); err != nil {
		return fmt.Errorf("deregistering a service: %w", err)
	}
	return r.note(s, func(e *regEntry) { e.remove = true })
}

// note changes the entry of each node of s and wakes Run.
func (r *Registry) note(s *registry.Service, change func(*regEntry)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	now := time.Now()
	for _, node := range s.Nodes {
		e := r.entries[node.Id]
		if e == nil {
			if len(r.entries) >= maxEntries {
				return fmt.Errorf("registering node %q: %d nodes are registered already", node.Id, maxEntries)
			}
			e = &regEntry{}
			r.entries[node.Id] = e
		}
		change(e)
		e.service = copyService(s, node)
		e.asked, e.next = now, now
		e.wish++
		if e.remove && !e.held && e.busy == nil && e.wish > 1 {
			delete(r.entries, node.Id) // the registry has never heard of it
		}
	}
	r.kick()
	return nil
}

func (r *Registry) kick() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func checkNodes(s *registry.Service) error {
	if s == nil || s.Name == "" {
		return errors.New("it has no name")
	}
	if len(s.Nodes) == 0 {
		return fmt.Errorf("%q has no nodes", s.Name)
	}
	for _, node := range s.Nodes {
		if node == nil || node.Id == "" {
			return fmt.Errorf("a node of %q has no id", s.Name)
		}
	}
	return nil
}

// copyService copies s with one of its nodes, deep enough that the caller may go
// on changing its own. Endpoints are shared: go-micro never changes one.
func copyService(s *registry.Service, node *registry.Node) *registry.Service {
	c := *s
	n := *node
	n.Metadata = maps.Clone(node.Metadata)
	c.Nodes = []*registry.Node{&n}
	c.Metadata = maps.Clone(s.Metadata)
	c.Endpoints = slices.Clone(s.Endpoints)
	return &c
}
