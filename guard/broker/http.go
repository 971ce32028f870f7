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
	"go-micro.dev/v4/registry/cache"

	"github.com/microhq/monitor-srv/guard"
)

// HTTPBrokerConfig says how go-micro's http broker is served. Registry is required.
type HTTPConfig struct {
	Config
	// Registry is where subscribers are announced and found.
	Registry registry.Registry
	// Address to listen on, host:port. Empty: 127.0.0.1:0 as in go-micro, which
	// other hosts cannot reach. Its host is announced; for an unspecified one
	// (":0", "0.0.0.0:0") go-micro picks an address of some interface, so give an
	// explicit one or Advertise.
	Address string
	// AddressFrom names the flag or variable that Address came from, for errors.
	// Empty: "--broker_address".
	AddressFrom string
	// Advertise is the host or host:port that is announced instead of Address; a
	// missing port is the one that is listened on. Empty: as Address.
	Advertise string
	// TLSConfig serves TLS, and is used towards other subscribers that do. Nil:
	// clear text, and the certificates of others are verified with the system's.
	TLSConfig *tls.Config
	// MaxEvent bounds the payload of an event, in bytes. The body that carries it
	// may be a third larger, because it is base64 inside, plus 16 KiB for its
	// headers: 365,912 bytes for the default. 0: 256 KiB.
	MaxEvent int
	// MaxConns bounds the open connections; further ones are closed at once. A
	// publisher keeps up to two. 0: 4096.
	MaxConns int
	// HeaderTimeout and BodyTimeout bound the arrival of a request's header, and of
	// its body after that. 0: 5 s and 10 s.
	HeaderTimeout, BodyTimeout time.Duration
	// Renew is the time between two announcements of each subscription, which
	// expire after one minute. 0: 30 s, as in go-micro.
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

// NewHTTPBroker returns a guarded broker that speaks go-micro's http protocol. The
// stock broker keeps the subscriptions and decodes the events, but the port is our
// own: with deadlines for headers, bodies and idle connections, with a limit of
// size and of connections, and drained at the end. Events are posted by our own
// client, whose calls end.
//
// Nobody logs in: whoever reaches the port and knows the registry can inject
// events. Bind it to loopback or a private network. An event that no subscriber
// takes within the timeout is lost; there is no queue for later.
func NewHTTP(cfg HTTPConfig) (*Broker, error) {
	cfg = cfg.withDefaults()
	if cfg.Registry == nil {
		return nil, errors.New("making an http broker: it has no registry")
	}
	if _, _, err := net.SplitHostPort(cfg.Address); err != nil {
		return nil, fmt.Errorf("reading %s=%q: it is no host and port: give host:port, with port 0 for a free one",
			cmp.Or(cfg.AddressFrom, "--broker_address"), guard.Redact(cfg.Address))
	}
	f := &httpFront{cfg: cfg, link: newLink("http"), reg: &httpAnnouncer{to: cfg.Registry}}
	opts := []broker.Option{broker.Registry(f.reg), broker.Addrs(cfg.Address), broker.Logger(guard.NewLogger(cfg.Logger))}
	if cfg.TLSConfig != nil {
		opts = append(opts, broker.TLSConfig(cfg.TLSConfig))
	}
	f.Broker = broker.NewBroker(opts...)
	stock, ok := f.Broker.(http.Handler)
	if !ok {
		return nil, errors.New("making an http broker: go-micro's is no http handler any more")
	}
	b := newBroker(f, cfg.Config, f.link)
	f.count = &b.counts
	f.door = newHTTPDoor(cfg, stock, f.count)
	return b, nil
}

// httpFront is go-micro's http broker without its listener. The stock broker is
// never connected: it would listen by itself, without any limit.
type httpFront struct {
	broker.Broker // the stock one
	cfg           HTTPConfig
	link          *link
	reg           *httpAnnouncer
	door          *httpDoor
	count         *brokerCounts

	mu   sync.Mutex
	addr string      // guarded by mu; bound to, empty while not connected
	run  *httpServed // guarded by mu; nil while not connected
	send *httpSender // guarded by mu; nil while not connected
}

// Init takes a new registry; everything else is fixed at construction.
func (f *httpFront) Init(opts ...broker.Option) error {
	changed := f.Broker.Options()
	for _, o := range opts {
		o(&changed)
	}
	if changed.Registry != nil && changed.Registry != registry.Registry(f.reg) {
		f.reg.replace(changed.Registry)
	}
	return nil
}

// Address answers the address that is listened on, or shall be.
func (f *httpFront) Address() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return cmp.Or(f.addr, f.cfg.Address)
}

// Connect listens and serves.
func (f *httpFront) Connect() error {
	l, err := net.Listen("tcp", f.cfg.Address)
	if err != nil {
		return fmt.Errorf("listening on %q: %w", f.cfg.Address, err)
	}
	// The stock broker announces the address that it was given last.
	if err := f.Broker.Init(broker.Addrs(f.announced(l.Addr())), broker.Registry(f.reg)); err != nil {
		_ = l.Close()
		return err
	}
	send := newHTTPSender(f.cfg, cache.New(f.reg))
	run := serveHTTPBroker(f, l)
	f.mu.Lock()
	f.addr, f.run, f.send = l.Addr().String(), run, send
	f.mu.Unlock()
	f.link.up()
	return nil
}

// announced is the address for the registry.
func (f *httpFront) announced(bound net.Addr) string {
	host, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		return bound.String()
	}
	if given, _, err := net.SplitHostPort(f.cfg.Address); err == nil && given != "" {
		host = given // a name stays a name
	}
	if f.cfg.Advertise == "" {
		return net.JoinHostPort(host, port)
	}
	if h, p, err := net.SplitHostPort(f.cfg.Advertise); err == nil {
		return net.JoinHostPort(h, cmp.Or(p, port))
	}
	return net.JoinHostPort(f.cfg.Advertise, port)
}

// Disconnect takes no more events, waits for those in flight, at most half the
// timeout, and closes what is left.
func (f *httpFront) Disconnect() error {
	f.mu.Lock()
	run, send := f.run, f.send
	f.addr, f.run, f.send = "", nil, nil
	f.mu.Unlock()
	if run == nil {
		return nil
	}
	send.close()
	return run.stop(f.cfg.Timeout / 2)
}

// Publish posts the event to every subscriber of the topic.
func (f *httpFront) Publish(topic string, msg *broker.Message, opts ...broker.PublishOption) error {
	f.mu.Lock()
	send := f.send
	f.mu.Unlock()
	if send == nil {
		return errors.New("not connected")
	}
	var o broker.PublishOptions
	for _, opt := range opts {
		opt(&o)
	}
	return send.publish(o.Context, topic, msg)
}
