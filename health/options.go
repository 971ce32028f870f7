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
	// DefaultInterval is the time between two statuses, two stats and two runs of a
	// check. The monitoring service shows a node as UNKNOWN that has published nothing
	// for one and a half intervals: 15 s.
	DefaultInterval = 10 * time.Second
	// DefaultTTL is the time after which a node or a check that publishes nothing is
	// missing. Until then it is listed as UNKNOWN.
	DefaultTTL = time.Hour
	// DefaultPublishTimeout is the time limit of one call of a Publisher.
	DefaultPublishTimeout = 5 * time.Second
	// DefaultQueueSize is the number of events that wait for the broker. There is
	// room for MaxChecks checks, a status and stats.
	DefaultQueueSize = 256
)

// Option configures a Reporter. An option with a zero value (0, "", nil) keeps the
// default. Reporter.Start returns an error if a value is out of range.
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

// WithIdentity sets who publishes. Default: the service that was given to
// NewReporter, which also fills the fields that id leaves empty.
func WithIdentity(id Identity) Option { return func(o *options) { o.identity = id } }

// WithPublisher sets what publishes the events. Default: FromClient with the client
// of the service.
func WithPublisher(p Publisher) Option { return func(o *options) { o.publisher = p } }

// WithInterval sets the time between two statuses, two stats, and two runs of a
// check that has no interval of its own, from MinInterval (1 s) to MaxInterval
// (1 h). Events carry it in whole seconds, rounded up. Default: DefaultInterval
// (10 s).
func WithInterval(d time.Duration) Option { return func(o *options) { o.interval = d } }

// WithTTL sets the time after which a node that publishes nothing is missing, and a
// check that has no TTL of its own, from the interval to MaxTTL (24 h). Default:
// DefaultTTL (1 h) or three intervals, whichever is longer.
func WithTTL(d time.Duration) Option { return func(o *options) { o.ttl = d } }

// WithPublishTimeout sets the time limit of one call of the Publisher. There is no
// maximum. Default: DefaultPublishTimeout (5 s).
func WithPublishTimeout(d time.Duration) Option { return func(o *options) { o.publishTimeout = d } }

// WithQueueSize sets the number of events that wait for the broker, at least 1. A
// full queue drops stats first, then checks that are OK. Default: DefaultQueueSize
// (256 events).
func WithQueueSize(n int) Option { return func(o *options) { o.queueSize = n } }

// WithInfo sets a text for people that each status carries until SetInfo changes
// it, at most MaxText bytes; more is truncated. Default: none.
func WithInfo(text string) Option { return func(o *options) { o.info = text } }

// WithErrorFunc sets a function that is called with each error of publishing, and
// with errors of Reporter.Check after the start. It must return soon, because the
// goroutine that publishes calls it, and it may be called by several goroutines at
// once. A panic in it is recovered. Default: none; errors are counted and logged.
func WithErrorFunc(f func(error)) Option { return func(o *options) { o.onError = f } }

// WithObserver sets a function that is called with each event when it is made,
// whether or not it can be published. So the service itself can know the results of
// its checks while the broker is away. The function must return soon, may be called
// by several goroutines at once, and must not change the event. A panic in it is
// recovered. Default: none.
func WithObserver(f func(topic string, event proto.Message)) Option {
	return func(o *options) { o.observer = f }
}

// WithLogger sets where the Reporter logs that publishing fails, that it works
// again, and that a check panicked. Default: slog.Default().
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
	if err := validateInterval(o.interval); err != nil {
		return err
	}
	if err := validateTTL(o.ttl, o.interval); err != nil {
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
