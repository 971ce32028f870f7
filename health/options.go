package health

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"
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

// Option changes how a Reporter works. One that is given a zero, an empty text or
// nil leaves the default. What is out of its bounds is told by Start.
type Option func(*options)

type options struct {
	identity       Identity
	publisher      Publisher
	interval, ttl  time.Duration
	publishTimeout time.Duration
	queueSize      int
	info           string
	onError        func(error)
	observer       func(topic string, event proto.Message)
	logger         *slog.Logger
}

// WithIdentity says who publishes. Fields that are empty are taken from the
// service.
func WithIdentity(id Identity) Option { return func(o *options) { o.identity = id } }

// WithPublisher publishes through p in place of the service's client. Default:
// FromClient of the service's client.
func WithPublisher(p Publisher) Option { return func(o *options) { o.publisher = p } }

// WithInterval sets the time between two statuses, two stats, and two runs of a
// check that says nothing else: MinInterval to MaxInterval. Events tell it in whole
// seconds, rounded up. Default: DefaultInterval.
func WithInterval(d time.Duration) Option { return func(o *options) { o.interval = d } }

// WithTTL sets after how long a silent node, or a silent check that says nothing
// else, is missing: from the interval to MaxTTL. Default: DefaultTTL, or three
// intervals if that is longer.
func WithTTL(d time.Duration) Option { return func(o *options) { o.ttl = d } }

// WithPublishTimeout bounds one call of the Publisher. Default:
// DefaultPublishTimeout.
func WithPublishTimeout(d time.Duration) Option { return func(o *options) { o.publishTimeout = d } }

// WithQueueSize bounds how many events wait for the broker, one at least. Beyond
// it, stats are dropped first, then checks that are OK. Default: DefaultQueueSize.
func WithQueueSize(n int) Option { return func(o *options) { o.queueSize = n } }

// WithInfo sets the text that statuses carry until SetInfo is called, cut at
// MaxText bytes. Default: none.
func WithInfo(text string) Option { return func(o *options) { o.info = text } }

// WithErrorFunc has f called with each error of publishing, in the goroutine
// that publishes: f must return soon. While calls of the Publisher hang, it may be
// called by several at once. A panic of f is swallowed. Default: errors are only
// counted and logged.
func WithErrorFunc(f func(error)) Option { return func(o *options) { o.onError = f } }

// WithObserver has f called with each event when it is made, whether it can be
// published or not, so that the service itself knows what its checks say while the
// broker is away. f must return soon, may be called by several goroutines at once,
// and must not change the event. A panic of f is swallowed. Default: none.
func WithObserver(f func(topic string, event proto.Message)) Option {
	return func(o *options) { o.observer = f }
}

// WithLogger sets where it is told that publishing fails, or works again, and
// that a check panicked. Default: slog.Default().
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

func newOptions(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	o.interval = cmp.Or(o.interval, DefaultInterval)
	o.ttl = cmp.Or(o.ttl, min(max(DefaultTTL, 3*o.interval), MaxTTL))
	o.publishTimeout = cmp.Or(o.publishTimeout, DefaultPublishTimeout)
	o.queueSize = cmp.Or(o.queueSize, DefaultQueueSize)
	o.logger = cmp.Or(o.logger, slog.Default())
	return o
}

func (o *options) validate() error {
	if err := checkInterval(o.interval); err != nil {
		return err
	}
	if err := checkTTL(o.ttl, o.interval); err != nil {
		return err
	}
	if o.publishTimeout < 0 {
		return fmt.Errorf("publish timeout %v must be more than 0", o.publishTimeout)
	}
	if o.queueSize < 0 {
		return fmt.Errorf("queue size %d must be at least 1", o.queueSize)
	}
	return nil
}
