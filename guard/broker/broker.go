// Package broker guards a go-micro broker: it connects, restores subscriptions, and
// bounds the time of every call. It also contains an http and a NATS broker.
package broker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/guard"
	"github.com/microhq/monitor-srv/loglimit"
)

// maxTopics bounds the subscriptions of one Broker. A process has a handful.
const maxTopics = 256

// Config configures every guarded broker. The zero value is valid.
type Config struct {
	// Timeout bounds a Publish, and how long Connect and Disconnect wait. 0: 2 s.
	Timeout time.Duration
	// RetryMin and RetryMax bound the delay before a failed connect or subscribe
	// is repeated. 0: 1 s and 5 s.
	RetryMin, RetryMax time.Duration
	// Check is the time between two checks that every subscription is active.
	// 0: 5 s.
	Check time.Duration
	// MaxPublishes bounds the Publish calls in flight. Further calls fail at once.
	// 0: 256.
	MaxPublishes int
	// Logger logs failures, each kind at most once in ten seconds. Nil:
	// slog.Default.
	Logger *slog.Logger
}

func (cfg Config) withDefaults() Config {
	cfg.Timeout = cmp.Or(cfg.Timeout, 2*time.Second)
	cfg.RetryMin = cmp.Or(cfg.RetryMin, guard.DefaultRetryMin)
	cfg.RetryMax = cmp.Or(cfg.RetryMax, guard.DefaultRetryMax)
	cfg.Check = cmp.Or(cfg.Check, 5*time.Second)
	cfg.MaxPublishes = cmp.Or(cfg.MaxPublishes, 256)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	return cfg
}

// Broker is a broker.Broker that restores its connection and subscriptions. Connect
// and Subscribe record what is wanted and do not fail when the broker is
// unavailable. Run connects and subscribes, and repeats both after failures.
//
// A topic has at most one subscription per process, because go-micro's http broker
// gives two of them the same id and handles each event twice. Subscribe refuses a
// second one.
//
// Use a Broker in this order: New, Run in a goroutine, Connect (which go-micro's
// server calls), Disconnect, then end Run's context. Every method may be called at
// any time.
type Broker struct {
	inner    broker.Broker
	cfg      Config
	conn     *connection // nil if the inner broker cannot lose its connection
	state    *guard.StateTracker
	limit    loglimit.Limiter
	counters counters
	wake     chan struct{} // wakes Run; has room for one
	slots    chan struct{} // one per Publish in flight
	tasks    guard.Tasks

	mu         sync.Mutex
	wanted     bool                     // guarded by mu; a connection is wanted
	connected  bool                     // guarded by mu; the inner broker is connected
	requests   uint64                   // guarded by mu; number of calls of Connect and Disconnect
	handled    uint64                   // guarded by mu; number of requests that reconcile has handled
	reconciled chan struct{}            // guarded by mu; closed and replaced after each reconcile
	running    bool                     // guarded by mu
	subs       map[string]*subscription // guarded by mu; the wanted ones, by topic
	ending     []broker.Subscriber      // guarded by mu; active and not wanted any more
}

var _ broker.Broker = (*Broker)(nil)

// New guards inner. Calls of inner may take long, but have to return: those of the
// brokers that NewHTTP and NewNATS make do.
func New(inner broker.Broker, cfg Config) *Broker {
	return newBroker(inner, cfg, nil)
}

func newBroker(inner broker.Broker, cfg Config, c *connection) *Broker {
	cfg = cfg.withDefaults()
	b := &Broker{
		inner:      inner,
		cfg:        cfg,
		conn:       c,
		wake:       make(chan struct{}, 1),
		slots:      make(chan struct{}, cfg.MaxPublishes),
		reconciled: make(chan struct{}),
		subs:       make(map[string]*subscription),
	}
	b.state = guard.NewStateTracker(b.wrap(errNotConnected).Error())
	if c != nil {
		c.attach(b)
	}
	return b
}

// wrap adds the name and address of the broker to an error.
func (b *Broker) wrap(err error) error {
	where := b.inner.String()
	if address := b.Address(); address != "" {
		where += " at " + address
	}
	return fmt.Errorf("broker %s: %w", where, guard.Shorten(err))
}

// Init applies options to the inner broker.
func (b *Broker) Init(opts ...broker.Option) error { return b.inner.Init(opts...) }

// Options returns the options of the inner broker.
func (b *Broker) Options() broker.Options { return b.inner.Options() }

// String returns the name of the inner broker.
func (b *Broker) String() string { return b.inner.String() }

// Address returns the address of the inner broker, without user and password.
func (b *Broker) Address() string { return guard.Redact(b.inner.Address()) }

// Connect requests a connection. It waits for the first attempt, at most for the
// timeout, so that Address is known afterwards. It returns nil whether the attempt
// succeeded or not. It does not wait unless Run runs.
func (b *Broker) Connect() error {
	b.request(true)
	return nil
}

// Disconnect requests the end of the connection and waits for it, at most for the
// timeout. A later Connect restores the subscriptions.
func (b *Broker) Disconnect() error {
	if !b.request(false) {
		return b.wrap(fmt.Errorf("disconnecting took longer than %v", b.cfg.Timeout))
	}
	return nil
}

// request records whether a connection is wanted and waits until reconcile has
// handled that. It returns false after the timeout.
func (b *Broker) request(wanted bool) bool {
	b.mu.Lock()
	b.wanted = wanted
	b.requests++
	request := b.requests
	b.mu.Unlock()
	b.wakeRun()
	timer := time.NewTimer(b.cfg.Timeout)
	defer timer.Stop()
	for {
		b.mu.Lock()
		done, reconciled := b.handled >= request || !b.running, b.reconciled
		b.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-reconciled:
		case <-timer.C:
			return false
		}
	}
}

// wakeRun makes Run reconcile now.
func (b *Broker) wakeRun() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// State tells whether the broker is connected. The reason names it.
func (b *Broker) State() guard.State {
	b.mu.Lock()
	connected := b.connected
	b.mu.Unlock()
	if connected && b.conn != nil {
		return b.conn.state.State()
	}
	return b.state.State()
}

// SubscriptionState is the state of one wanted subscription.
type SubscriptionState struct {
	Topic string
	State guard.State
}

// Subscriptions returns every wanted subscription, ordered by topic. Its state is OK
// if the broker has accepted it and is connected.
func (b *Broker) Subscriptions() []SubscriptionState {
	connection := b.State()
	b.mu.Lock()
	defer b.mu.Unlock()
	states := make([]SubscriptionState, 0, len(b.subs))
	for _, topic := range slices.Sorted(maps.Keys(b.subs)) {
		s := b.subs[topic].state.State()
		if s.OK && !connection.OK {
			s = connection
		}
		states = append(states, SubscriptionState{topic, s})
	}
	return states
}

// warn logs a failure, each message per topic at most once in loglimit.DefaultEvery.
func (b *Broker) warn(msg, topic string, err error) {
	suppressed, ok := b.limit.Allow(msg + "\x00" + topic)
	if !ok {
		return
	}
	attrs := []slog.Attr{slog.String("broker", b.inner.String()), slog.String("error", guard.ErrorText(err))}
	if topic != "" {
		attrs = append(attrs, slog.String("topic", topic))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	b.cfg.Logger.LogAttrs(context.Background(), slog.LevelWarn, msg, attrs...)
}
