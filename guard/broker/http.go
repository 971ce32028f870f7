package broker

import (
	"cmp"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/util/addr"

	"github.com/microhq/monitor-srv/connlimit"
	"github.com/microhq/monitor-srv/guard"
)

// HTTPConfig configures the http broker. Registry is required.
type HTTPConfig struct {
	Config
	// Registry is where subscribers register and publishers look them up.
	Registry registry.Registry
	// Address to listen on, host:port. Empty: 127.0.0.1:0 as in go-micro, which
	// other hosts cannot reach. Subscriptions are registered with its host. For an
	// unspecified host (":0", "0.0.0.0:0") go-micro picks an address of some
	// interface: give an explicit one.
	Address string
	// TLSConfig is used for serving TLS and for publishing to subscribers that serve
	// TLS. Nil: no TLS for serving, and the system's authorities for publishing.
	TLSConfig *tls.Config
	// MaxEvent bounds the payload of an event, in bytes. 0: 256 KiB. A request body
	// contains the payload in base64, a third larger, and up to 16 KiB of headers:
	// 365,912 bytes for the default.
	MaxEvent int
	// MaxConns bounds the open connections. A further one takes the place of an idle one,
	// first of an address with more than a sixteenth of all. A publisher keeps up to two
	// open. 0: 4096.
	MaxConns int
	// HeaderTimeout bounds the time until a request's header has arrived, and
	// BodyTimeout that of its body afterwards. 0: 5 s and 10 s.
	HeaderTimeout, BodyTimeout time.Duration
	// Renew is the time between two registrations of each subscription, which
	// expires after one minute. 0: 30 s, as in go-micro.
	Renew time.Duration
}

func (cfg HTTPConfig) withDefaults() HTTPConfig {
	cfg.Config = cfg.Config.withDefaults()
	cfg.Address = cmp.Or(cfg.Address, "127.0.0.1:0")
	cfg.MaxEvent = cmp.Or(cfg.MaxEvent, 256<<10)
	cfg.MaxConns = cmp.Or(cfg.MaxConns, 4096)
	cfg.HeaderTimeout = cmp.Or(cfg.HeaderTimeout, 5*time.Second)
	cfg.BodyTimeout = cmp.Or(cfg.BodyTimeout, 10*time.Second)
	cfg.Renew = cmp.Or(cfg.Renew, 30*time.Second)
	return cfg
}

func (cfg HTTPConfig) maxBody() int64 {
	return int64(base64.StdEncoding.EncodedLen(cfg.MaxEvent)) + 16<<10
}

// NewHTTP returns a guarded broker that speaks go-micro's http protocol, also with
// publishers of its older versions. The listener has timeouts for headers, bodies and
// idle connections, limits the size of requests and the number of connections, and
// drains on stop. Every call of the publisher ends. It finds a new subscriber within a
// second if the topic had none, and else within 5 s.
//
// The protocol has no authentication: everyone who reaches the port and knows the
// registry can send events. Bind it to loopback or a private network. An event that
// no subscriber accepts within the timeout is lost.
func NewHTTP(cfg HTTPConfig) (*Broker, error) {
	cfg = cfg.withDefaults()
	if cfg.Registry == nil {
		return nil, errors.New("creating an http broker: the registry is missing")
	}
	if _, _, err := net.SplitHostPort(cfg.Address); err != nil {
		return nil, fmt.Errorf("broker address %q: it is not host:port: give host:port, with port 0 for a free one",
			guard.Redact(cfg.Address))
	}
	h := &httpBroker{
		cfg:    cfg,
		conns:  connlimit.NewPlaces(connlimit.Limits{Max: cfg.MaxConns}),
		bodies: connlimit.NewPlaces(connlimit.Limits{Max: largeEvents}),
		subscriptions: &httpSubscriptions{
			id: uuid.NewString(), registry: cfg.Registry, byTopic: make(map[string]*httpSubscription),
		},
	}
	h.conn = &connection{conns: h.conns}
	return newBroker(h, cfg.Config, h.conn), nil
}

// httpBroker posts events to subscribers and is posted events.
type httpBroker struct {
	cfg           HTTPConfig
	conn          *connection
	conns         *connlimit.Places
	bodies        *connlimit.Places // of large bodies in memory
	subscriptions *httpSubscriptions

	mu        sync.Mutex
	bound     string         // guarded by mu; address of the listener, empty while not connected
	server    *httpServer    // guarded by mu; nil while not connected
	publisher *httpPublisher // guarded by mu; nil while not connected
}

var _ broker.Broker = (*httpBroker)(nil)

// Init replaces the registry. All other options are fixed at construction.
func (h *httpBroker) Init(opts ...broker.Option) error {
	changed := h.Options()
	for _, o := range opts {
		o(&changed)
	}
	h.subscriptions.mu.Lock()
	defer h.subscriptions.mu.Unlock()
	h.subscriptions.registry = changed.Registry
	return nil
}

// Options returns the configured address and the registry.
func (h *httpBroker) Options() broker.Options {
	return *broker.NewOptions(broker.Addrs(h.cfg.Address), broker.Registry(h.subscriptions.currentRegistry()))
}

func (h *httpBroker) String() string { return "http" }

// Address returns the address of the listener, or the configured one.
func (h *httpBroker) Address() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return cmp.Or(h.bound, h.cfg.Address)
}

// Connect listens and serves.
func (h *httpBroker) Connect() error {
	l, err := net.Listen("tcp", h.cfg.Address)
	if err != nil {
		return fmt.Errorf("listening on %q: %w", h.cfg.Address, err)
	}
	advertised, err := h.advertised(l.Addr().String())
	if err != nil {
		_ = l.Close()
		return err
	}
	h.subscriptions.mu.Lock()
	h.subscriptions.address = advertised
	h.subscriptions.mu.Unlock()
	h.mu.Lock()
	h.bound, h.server, h.publisher = l.Addr().String(), startHTTPServer(h, l), newHTTPPublisher(h.cfg, h.subscriptions)
	h.mu.Unlock()
	h.conn.setUp()
	return nil
}

// advertised returns the address to register for the one of the listener.
func (h *httpBroker) advertised(bound string) (string, error) {
	host, port, err := net.SplitHostPort(bound)
	if err != nil {
		return "", err
	}
	given, _, _ := net.SplitHostPort(h.cfg.Address) // it may be a name
	if host, err = addr.Extract(cmp.Or(given, host)); err != nil {
		return "", fmt.Errorf("finding the address to register: %w", err)
	}
	return net.JoinHostPort(host, port), nil
}

// Disconnect stops accepting events, waits for those in flight, at most for half the
// timeout, and closes the remaining connections.
func (h *httpBroker) Disconnect() error {
	h.mu.Lock()
	server, publisher := h.server, h.publisher
	h.bound, h.server, h.publisher = "", nil, nil
	h.mu.Unlock()
	if server == nil {
		return nil
	}
	publisher.close()
	return server.stop(h.cfg.Timeout / 2)
}

// Publish posts the event to every subscriber of the topic.
func (h *httpBroker) Publish(topic string, msg *broker.Message, opts ...broker.PublishOption) error {
	h.mu.Lock()
	publisher := h.publisher
	h.mu.Unlock()
	if publisher == nil {
		return errNotConnected
	}
	return publisher.publish(publishContext(opts), topic, msg)
}

// Subscribe registers a subscription.
func (h *httpBroker) Subscribe(topic string, handler broker.Handler, opts ...broker.SubscribeOption) (broker.Subscriber, error) {
	return h.subscriptions.add(topic, h.cfg.TLSConfig != nil, handler, broker.NewSubscribeOptions(opts...))
}
