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
)

// maxTopics bounds the subscriptions of one Broker; a process has a handful.
const maxTopics = 256

// BrokerConfig holds what every guarded broker needs. Its zero value is usable.
type Config struct {
	// Timeout bounds a Publish, and the wait of Connect and Disconnect. 0: 2 s.
	Timeout time.Duration
	// RetryMin and RetryMax bound the delay before a failed connect or subscribe
	// is repeated. 0: 1 s and 5 s.
	RetryMin, RetryMax time.Duration
	// Check is the time between two comparisons of the wanted subscriptions with
	// the live ones. 0: 5 s.
	Check time.Duration
	// MaxPublishes is how many Publish calls may be under way; one more fails at
	// once. 0: 256.
	MaxPublishes int
	// Logger hears of failures, each kind at most once in ten seconds. Nil:
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

// Broker is a broker.Broker whose subscriptions hold. Connect and Subscribe note a
// wish and do not fail because the broker is away; Run brings the inner broker to
// the wishes and keeps it there.
//
// A topic has one subscription per process, because go-micro's http broker gives
// two of them one id and runs each event twice. A second Subscribe is refused.
//
// The life of a Broker: NewBroker, Run in a goroutine, Connect (go-micro's server
// does that), Disconnect, then the end of Run's context. Every method may be
// called at any time.
type Broker struct {
	inner  broker.Broker
	cfg    Config
	link   *link // nil if the inner broker has no connection that may break
	health *guard.StateTracker
	limit  guard.LogLimit
	counts brokerCounts
	wake   chan struct{} // has room for one: "there is something to do"
	slots  chan struct{} // one per Publish under way
	tasks  sync.WaitGroup

	mu        sync.Mutex
	want      bool                     // guarded by mu; to be connected
	connected bool                     // guarded by mu; the inner broker is
	wishes    uint64                   // guarded by mu; counts calls of Connect and Disconnect
	served    uint64                   // guarded by mu; the newest wish that a pass has seen
	passed    chan struct{}            // guarded by mu; closed after each pass, then replaced
	running   bool                     // guarded by mu
	ended     bool                     // guarded by mu
	subs      map[string]*subscription // guarded by mu; wanted, by topic
	leaving   []broker.Subscriber      // guarded by mu; live, but not wanted any more
}

var _ broker.Broker = (*Broker)(nil)

// NewBroker guards inner. Calls of inner have to end by themselves some time: the
// brokers that NewHTTPBroker and NewNATSBroker make do.
func New(inner broker.Broker, cfg Config) *Broker {
	return newBroker(inner, cfg, nil)
}

func newBroker(inner broker.Broker, cfg Config, l *link) *Broker {
	cfg = cfg.withDefaults()
	b := &Broker{
		inner:  inner,
		cfg:    cfg,
		link:   l,
		health: guard.NewStateTracker("broker " + inner.String() + ": not connected yet"),
		wake:   make(chan struct{}, 1),
		slots:  make(chan struct{}, cfg.MaxPublishes),
		passed: make(chan struct{}),
		subs:   make(map[string]*subscription),
	}
	if l != nil {
		l.bind(b)
	}
	return b
}

// Init passes options on to the inner broker.
func (b *Broker) Init(opts ...broker.Option) error { return b.inner.Init(opts...) }

// Options answers the inner broker's.
func (b *Broker) Options() broker.Options { return b.inner.Options() }

// String answers the inner broker's name.
func (b *Broker) String() string { return b.inner.String() }

// Address answers the inner broker's, without user and password.
func (b *Broker) Address() string { return guard.Redact(b.inner.Address()) }

// Connect asks for the connection. It waits for the first attempt, at most the
// timeout, so that Address is known to who asks next, and returns nil whatever
// came of it. Without Run it returns at once.
func (b *Broker) Connect() error {
	b.await(true)
	return nil
}

// Disconnect ends the subscriptions and the connection, and waits for that no
// longer than the timeout. What was subscribed is subscribed again by a Connect.
func (b *Broker) Disconnect() error {
	if !b.await(false) {
		return fmt.Errorf("disconnecting from broker %s: not done within %v", b.inner.String(), b.cfg.Timeout)
	}
	return nil
}

// await notes whether a connection is wanted and waits until a pass has seen it.
func (b *Broker) await(want bool) bool {
	b.mu.Lock()
	b.want = want
	b.wishes++
	wish := b.wishes
	b.mu.Unlock()
	b.kick()
	if !want {
		defer b.hurry().Stop()
	}
	timer := time.NewTimer(b.cfg.Timeout)
	defer timer.Stop()
	for {
		b.mu.Lock()
		seen, passed := b.served >= wish || !b.running, b.passed
		b.mu.Unlock()
		if seen {
			return true
		}
		select {
		case <-passed:
		case <-timer.C:
			return false
		}
	}
}

// hurry gives the inner broker half the timeout to finish what it is doing. Whoever
// stops the timer returned spares it.
func (b *Broker) hurry() *time.Timer {
	return time.AfterFunc(b.cfg.Timeout/2, func() {
		if b.link != nil && b.link.hurry != nil {
			b.link.hurry()
		}
	})
}

func (b *Broker) kick() {
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
	if connected && b.link != nil {
		return b.link.health.State()
	}
	return b.health.State()
}

// SubscriptionState is how one wanted subscription is.
type SubscriptionState struct {
	Topic string
	State guard.State
}

// Subscriptions answers every wanted subscription, ordered by topic. One is well
// if the broker took it and the connection stands.
func (b *Broker) Subscriptions() []SubscriptionState {
	link := b.State()
	b.mu.Lock()
	defer b.mu.Unlock()
	states := make([]SubscriptionState, 0, len(b.subs))
	for _, topic := range slices.Sorted(maps.Keys(b.subs)) {
		s := b.subs[topic].health.State()
		if s.OK && !link.OK {
			s = link
		}
		states = append(states, SubscriptionState{topic, s})
	}
	return states
}

// warn logs a failure, each kind at most once in logEvery.
func (b *Broker) warn(what, topic string, err error) {
	held, ok := b.limit.Allow(what + "\x00" + topic)
	if !ok {
		return
	}
	attrs := []slog.Attr{slog.String("broker", b.inner.String()), slog.String("error", guard.ErrorText(err))}
	if topic != "" {
		attrs = append(attrs, slog.String("topic", topic))
	}
	if held > 0 {
		attrs = append(attrs, slog.Int("suppressed", held))
	}
	b.cfg.Logger.LogAttrs(context.Background(), slog.LevelWarn, what, attrs...)
}
