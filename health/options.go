package health

import (
	"fmt"
	"log/slog"
	"time"
)

// Defaults of a Reporter.
const (
	// DefaultInterval of statuses, stats and checks. The monitoring service calls
	// a node UNKNOWN after one and a half intervals of silence: 15 s here, against
	// 90 s with the minute of the publishers of 2016. It costs a node with ten
	// checks about one event a second.
	DefaultInterval = 10 * time.Second
	// DefaultTTL is that of the publishers of 2016. A node that died stays in the
	// lists, as UNKNOWN, for so long before it counts as missing.
	DefaultTTL = time.Hour
	// DefaultPublishTimeout bounds one call of a Publisher.
	DefaultPublishTimeout = 5 * time.Second
	// DefaultQueueSize has room for one event of each key: MaxChecks checks, a
	// status, stats.
	DefaultQueueSize = 256
)

// Option changes how a Reporter works.
type Option func(*options)

type options struct {
	identity       Identity
	publisher      Publisher
	interval, ttl  time.Duration
	publishTimeout time.Duration
	queueSize      int
	info           string
	onError        func(error)
	logger         *slog.Logger
}

// WithIdentity says who publishes. Fields that are empty are taken from the
// service.
func WithIdentity(id Identity) Option { return func(o *options) { o.identity = id } }

// WithPublisher publishes through p in place of the service's client.
func WithPublisher(p Publisher) Option { return func(o *options) { o.publisher = p } }

// WithInterval sets the time between two statuses, two stats, and two runs of a
// check that says nothing else. Default: DefaultInterval.
func WithInterval(d time.Duration) Option { return func(o *options) { o.interval = d } }

// WithTTL sets after how long a silent node is missing. Default: DefaultTTL, or
// three intervals if that is longer.
func WithTTL(d time.Duration) Option { return func(o *options) { o.ttl = d } }

// WithPublishTimeout bounds one call of the Publisher. Default:
// DefaultPublishTimeout.
func WithPublishTimeout(d time.Duration) Option { return func(o *options) { o.publishTimeout = d } }

// WithQueueSize bounds how many events wait for the broker. Beyond it, stats are
// dropped first, then checks that are OK. Default: DefaultQueueSize.
func WithQueueSize(n int) Option { return func(o *options) { o.queueSize = n } }

// WithInfo sets the text that statuses carry until SetInfo is called.
func WithInfo(text string) Option { return func(o *options) { o.info = text } }

// WithErrorFunc has f called with each error of publishing, in the goroutine
// that publishes: f must return soon. A panic of f is swallowed.
func WithErrorFunc(f func(error)) Option { return func(o *options) { o.onError = f } }

// WithLogger sets where it is told that publishing fails, or works again, and
// that a check panicked. Default: slog.Default().
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

func newOptions(opts []Option) options {
	o := options{
		interval:       DefaultInterval,
		publishTimeout: DefaultPublishTimeout,
		queueSize:      DefaultQueueSize,
	}
	for _, opt := range opts {
		opt(&o)
	}
	if o.logger == nil {
		o.logger = slog.Default()
	}
	if o.ttl == 0 {
		o.ttl = min(max(DefaultTTL, 3*o.interval), MaxTTL)
	}
	return o
}

func (o *options) validate() error {
	if err := checkInterval(o.interval); err != nil {
		return err
	}
	if err := checkTTL(o.ttl, o.interval); err != nil {
		return err
	}
	if o.publishTimeout <= 0 {
		return fmt.Errorf("publish timeout %v must be more than 0", o.publishTimeout)
	}
	if o.queueSize < 1 {
		return fmt.Errorf("queue size %d must be at least 1", o.queueSize)
	}
	return nil
}
