package broker

import (
	"cmp"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

// HTTPConfig configures go-micro's http broker. Registry is required.
type HTTPConfig struct {
	Config
	// Registry is where subscribers register and publishers look them up.
	Registry registry.Registry
	// Address to listen on, host:port. Empty: 127.0.0.1:0 as in go-micro, which
	// other hosts cannot reach. Subscriptions are registered with its host. For an
	// unspecified host (":0", "0.0.0.0:0") go-micro picks an address of some
	// interface: give an explicit one, or Advertise.
	Address string
	// Advertise is the host or host:port to register in place of Address. Its
	// default port is that of the listener. Empty: Address.
	Advertise string
	// TLSConfig is used for serving TLS and for publishing to subscribers that serve
	// TLS. Nil: no TLS for serving, and the system's authorities for publishing.
	TLSConfig *tls.Config
	// MaxEvent bounds the payload of an event, in bytes. 0: 256 KiB. A request body
	// contains the payload in base64, a third larger, and up to 16 KiB of headers:
	// 365,912 bytes for the default.
	MaxEvent int
	// MaxConns bounds the open connections. Further ones are closed at once. A
	// publisher keeps up to two open. 0: 4096.
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

// NewHTTP returns a guarded broker that speaks go-micro's http protocol. The stock
// broker manages the subscriptions and decodes the events. Listener and publisher are
// ours. The listener has timeouts for headers, bodies and idle connections, limits
// the size of requests and the number of connections, and drains on stop. Every call
// of the publisher ends. It finds a new subscriber within a second if the topic had
// none, and else within 5 s.
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
	h := &httpBroker{cfg: cfg, conn: newConnection("http"), announcer: &announcer{registry: cfg.Registry}}
	opts := []broker.Option{broker.Registry(h.announcer), broker.Addrs(cfg.Address), broker.Logger(guard.NewLogger(cfg.Logger))}
	if cfg.TLSConfig != nil {
		opts = append(opts, broker.TLSConfig(cfg.TLSConfig))
	}
	h.Broker = broker.NewBroker(opts...)
	stock, ok := h.Broker.(http.Handler)
	if !ok {
		return nil, errors.New("creating an http broker: go-micro's broker is not an http.Handler")
	}
	b := newBroker(h, cfg.Config, h.conn)
	h.counters = &b.counters
	h.handler = newHTTPHandler(cfg, stock, h.counters)
	return b, nil
}

// httpBroker is go-micro's http broker with another listener and publisher. The stock
// broker is never connected, because it would then listen without any limit.
type httpBroker struct {
	broker.Broker // the stock one
	cfg           HTTPConfig
	conn          *connection
	announcer     *announcer
	handler       *httpHandler
	counters      *counters

	mu        sync.Mutex
	bound     string         // guarded by mu; address of the listener, empty while not connected
	server    *httpServer    // guarded by mu; nil while not connected
	publisher *httpPublisher // guarded by mu; nil while not connected
}

// Init replaces the registry. All other options are fixed at construction.
func (h *httpBroker) Init(opts ...broker.Option) error {
	changed := h.Broker.Options()
	for _, o := range opts {
		o(&changed)
	}
	if changed.Registry != nil && changed.Registry != registry.Registry(h.announcer) {
		h.announcer.replace(changed.Registry)
	}
	return nil
}

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
	// The stock broker registers the address that it was given last.
	if err := h.Broker.Init(broker.Addrs(h.advertised(l.Addr())), broker.Registry(h.announcer)); err != nil {
		_ = l.Close()
		return err
	}
	publisher := newHTTPPublisher(h.cfg, h.announcer)
	server := startHTTPServer(h, l)
	h.mu.Lock()
	h.bound, h.server, h.publisher = l.Addr().String(), server, publisher
	h.mu.Unlock()
	h.conn.setUp()
	return nil
}

// advertised returns the address to register.
func (h *httpBroker) advertised(bound net.Addr) string {
	host, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		return bound.String()
	}
	if given, _, err := net.SplitHostPort(h.cfg.Address); err == nil && given != "" {
		host = given // it may be a name
	}
	if h.cfg.Advertise == "" {
		return net.JoinHostPort(host, port)
	}
	if h, p, err := net.SplitHostPort(h.cfg.Advertise); err == nil {
		return net.JoinHostPort(h, cmp.Or(p, port))
	}
	return net.JoinHostPort(h.cfg.Advertise, port)
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
		return errors.New("not connected")
	}
	var o broker.PublishOptions
	for _, opt := range opts {
		opt(&o)
	}
	return publisher.publish(o.Context, topic, msg)
}
