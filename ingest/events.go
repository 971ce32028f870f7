package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/loglimit"
	"github.com/microhq/monitor-srv/store"
)

// Putter stores events. *store.Store implements it.
type Putter interface {
	Put(*store.Event) store.Outcome
}

// Config of Events.
type Config struct {
	// Store is where the events go. Required.
	Store Putter
	// Log gets at most one line in ten seconds for each reason, slog.Default() if
	// nil.
	Log *slog.Logger
	// Own is the node id of this instance. Events about it are taken from Inject only.
	// Empty: there is none.
	Own string
	// MaxQueued bounds the messages in the queue, 65,536 if zero.
	MaxQueued int
	// MaxQueuedBytes bounds their memory, 64 MiB if zero.
	MaxQueuedBytes int
	// DrainTimeout bounds how long Run empties the queue after its context has
	// ended, 2 s if zero.
	DrainTimeout time.Duration
}

// Events receives what services publish and puts it in the store. See NewEvents.
type Events struct {
	cfg         Config
	queue       *queue
	counts      counts
	limiter     loglimit.Limiter
	items       items
	transcoders *transcoders
	decoders    sync.Pool // of *decoder

	mu   sync.Mutex
	subs []broker.Subscriber // guarded by mu
}

// NewEvents returns Events. Call Subscribe and Run.
func NewEvents(cfg Config) *Events {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.MaxQueued <= 0 {
		cfg.MaxQueued = 64 << 10
	}
	if cfg.MaxQueuedBytes <= 0 {
		cfg.MaxQueuedBytes = 64 << 20
	}
	if cfg.DrainTimeout <= 0 {
		cfg.DrainTimeout = 2 * time.Second
	}
	return &Events{
		cfg:         cfg,
		queue:       newQueue(cfg.MaxQueued, cfg.MaxQueuedBytes),
		transcoders: newTranscoders(),
	}
}

// Subscribe subscribes once to each topic of the bus, without a queue name, so that
// every replica sees every event. If one subscription fails, the others are ended. A
// second call without Unsubscribe in between is an error, because go-micro's brokers
// would deliver each message twice.
func (e *Events) Subscribe(b broker.Broker) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.subs) > 0 {
		return errors.New("subscribing to the bus: already subscribed")
	}
	for kind, topic := range topics {
		sub, err := b.Subscribe(topic, e.brokerHandler(store.Kind(kind)))
		if err != nil {
			return errors.Join(fmt.Errorf("subscribing to %q: %w", topic, err), e.unsubscribeLocked())
		}
		e.subs = append(e.subs, sub)
	}
	return nil
}

// Unsubscribe ends the subscriptions, if there are any. Messages received before are
// still processed.
func (e *Events) Unsubscribe() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.unsubscribeLocked()
}

func (e *Events) unsubscribeLocked() error {
	var errs []error
	for _, sub := range e.subs {
		if err := sub.Unsubscribe(); err != nil {
			errs = append(errs, fmt.Errorf("unsubscribing from %q: %w", sub.Topic(), err))
		}
	}
	e.subs = nil
	return errors.Join(errs...)
}

// Counters returns the counters since Events was made.
func (e *Events) Counters() Counters {
	return e.counts.snapshot(e.queue.drops())
}

// QueueState is the state of the queue before the store.
type QueueState struct {
	// Depth is the number of queued messages, Bytes the memory they take.
	Depth, Bytes int
	// DroppingSince is when the queue began to drop messages; zero if it dropped none
	// in the last ten seconds.
	DroppingSince time.Time
}

// State returns the state of the queue.
func (e *Events) State() QueueState {
	depth, size, since := e.queue.state()
	return QueueState{Depth: depth, Bytes: size, DroppingSince: since}
}

// Run puts queued events in the store until ctx ends. Then it closes the queue,
// empties it for at most DrainTimeout, and drops the rest. It returns nil.
func (e *Events) Run(ctx context.Context) error {
	batch := make([]*item, 0, batchCount)
	for ctx.Err() == nil {
		batch = e.queue.take(batch)
		e.put(batch)
		if len(batch) > 0 {
			continue
		}
		select {
		case <-e.queue.wake:
		case <-ctx.Done():
		}
	}
	e.drain()
	return nil
}

func (e *Events) drain() {
	e.queue.close()
	// Small batches: the store may be slow, and the time is short.
	batch := make([]*item, 0, 16)
	for end := time.Now().Add(e.cfg.DrainTimeout); time.Now().Before(end); {
		batch = e.queue.take(batch)
		if len(batch) == 0 {
			return
		}
		e.put(batch)
	}
	e.drop(e.queue.discard())
}

func (e *Events) put(batch []*item) {
	for i, it := range batch {
		e.putOne(it)
		e.items.put(it)
		batch[i] = nil
	}
}

// putOne recovers from a panic of the store: the next event may be fine.
func (e *Events) putOne(it *item) {
	defer func() {
		if p := recover(); p != nil {
			e.reject(it.event.Kind, rejection{internal, fmt.Sprint(p)}, sender{})
		}
	}()
	outcome := e.cfg.Store.Put(&it.event)
	e.counts.topics[it.event.Kind].outcomes[outcome].Add(1)
}
