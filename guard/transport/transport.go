// Package transport guards go-micro's HTTP transport: it answers every request exactly
// once and limits the size, number and duration of requests.
package transport

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"go-micro.dev/v4/transport"
	"go-micro.dev/v4/util/addr"
	mnet "go-micro.dev/v4/util/net"
	mtls "go-micro.dev/v4/util/tls"

	"github.com/microhq/monitor-srv/connlimit"
)

// Config limits the requests to an RPC port. A field that is zero or negative has the
// default named beside it.
type Config struct {
	// MaxBody bounds a request body, in bytes; 1 MiB. A larger one is answered with
	// status 413.
	MaxBody int64
	// MaxConns bounds the open connections; 1024. A further one takes the place of an idle
	// one, first of an address with more than a sixteenth of all. Stock clients keep idle
	// connections open, so this is about the number of callers in one IdleTimeout.
	MaxConns int
	// MaxHeader bounds a request header, in bytes; 16 KiB. A larger one is answered
	// with status 431. At most twice as much and 4 KiB are held in memory.
	MaxHeader int
	// HeaderTimeout bounds the time for a request header, from its first byte or from
	// the start of the connection; 5 s.
	HeaderTimeout time.Duration
	// BodyTimeout bounds the time for the rest of a request; 10 s.
	BodyTimeout time.Duration
	// WriteTimeout bounds the time for writing an answer; 30 s. It also bounds the
	// timeout of handlers.
	WriteTimeout time.Duration
	// IdleTimeout bounds the time that a connection waits for its next request; 60 s.
	// Stock clients reuse a connection for 60 s and do not notice when it is closed
	// before, so with less some calls fail.
	IdleTimeout time.Duration
	// DrainTimeout bounds the time that Close of a listener waits for calls in flight;
	// 8 s.
	DrainTimeout time.Duration
	// Log logs faults of callers and handlers, each kind at most once in ten seconds;
	// slog.Default().
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return Config{
		MaxBody:       positive(c.MaxBody, 1<<20),
		MaxConns:      positive(c.MaxConns, 1024),
		MaxHeader:     positive(c.MaxHeader, 16<<10),
		HeaderTimeout: positive(c.HeaderTimeout, 5*time.Second),
		BodyTimeout:   positive(c.BodyTimeout, 10*time.Second),
		WriteTimeout:  positive(c.WriteTimeout, 30*time.Second),
		IdleTimeout:   positive(c.IdleTimeout, 60*time.Second),
		DrainTimeout:  positive(c.DrainTimeout, 8*time.Second),
		Log:           c.Log,
	}
}

func positive[T cmp.Ordered](value, otherwise T) T {
	var zero T
	if value > zero {
		return value
	}
	return otherwise
}

// Transport is go-micro's HTTP transport with another listener.
//
// For callers it behaves like the stock transport: HTTP/1.1 POST, a Micro-Endpoint
// header, and a body of application/json or application/protobuf. It also answers clients
// of go-micro before 2019, which put the call into an envelope. The differences:
//
//   - Every request gets exactly one answer, including pipelined ones and those whose
//     handler panics, does not answer or exceeds its timeout.
//   - The size of bodies and headers, the number of connections, and the duration of
//     each are limited.
//   - Events (Micro-Topic) are refused; they come from the broker.
//   - Streams, HTTP/2 and application/grpc are refused. No v4 client sends them to a
//     service that was registered by a v4 server.
//   - Envelopes are opened here. The codecs of the stock server believe any length, and
//     allocate 4 GB for 4 bytes.
//   - Answers do not repeat the headers of the request, except Micro-Id.
//   - The caller's timeout is not in the metadata of a handler. Recover puts it into
//     the context, as the stock server does.
//
// The transport options Secure and TLSConfig, given by Init, work as in the stock
// transport. Its options Timeout, BuffSizeH2 and the context value http_handlers apply
// to the dialling side only.
type Transport struct {
	stock  transport.Transport
	cfg    Config
	counts counts
	calls  calls
	conns  *connlimit.Places
	bodies *connlimit.Places // of large bodies in memory
	log    *limitedLog
}

var _ transport.Transport = (*Transport)(nil)

// New returns a transport for go-micro's server and client.
func New(cfg Config) *Transport {
	cfg = cfg.withDefaults()
	return &Transport{
		stock:  transport.NewHTTPTransport(),
		cfg:    cfg,
		conns:  connlimit.NewPlaces(connlimit.Limits{Max: cfg.MaxConns}),
		bodies: connlimit.NewPlaces(connlimit.Limits{Max: maxLargeBodies}),
		log:    &limitedLog{log: cfg.Log},
	}
}

// Connections returns the state of the connections.
func (t *Transport) Connections() connlimit.State { return t.conns.State() }

// Init applies options of the stock transport. It must not be called while the
// transport is in use.
func (t *Transport) Init(opts ...transport.Option) error { return t.stock.Init(opts...) }

// Options returns the options of the stock transport.
func (t *Transport) Options() transport.Options { return t.stock.Options() }

// Dial connects as the stock transport does.
func (t *Transport) Dial(addr string, opts ...transport.DialOption) (transport.Client, error) {
	return t.stock.Dial(addr, opts...)
}

// String returns the name of the stock transport, "http", by which callers choose
// theirs.
func (t *Transport) String() string { return t.stock.String() }

// Listen listens on addr: host:port, or host:low-high for the first free port of a
// range. The listener accepts calls when its Accept is called. An option with a
// context, such as transport.NetListener, is an error, because its value cannot be
// read outside of go-micro.
func (t *Transport) Listen(addr string, opts ...transport.ListenOption) (transport.Listener, error) {
	var options transport.ListenOptions
	for _, o := range opts {
		o(&options)
	}
	if options.Context != nil {
		return nil, fmt.Errorf("listening on %q: options such as transport.NetListener are not supported: give an address", addr)
	}
	config, err := t.serverTLS(addr)
	if err != nil {
		return nil, fmt.Errorf("making a certificate for %q: %w", addr, err)
	}
	ln, err := mnet.Listen(addr, func(a string) (net.Listener, error) {
		return net.Listen("tcp", a)
	})
	if err != nil {
		return nil, fmt.Errorf("listening on %q: %w", addr, err)
	}
	return newListener(t, ln, config), nil
}

// serverTLS returns the configured TLS, or else a self-signed certificate if Secure is
// set, or else nil.
func (t *Transport) serverTLS(address string) (*tls.Config, error) {
	options := t.stock.Options()
	if options.TLSConfig != nil {
		config := options.TLSConfig.Clone()
		config.NextProtos = []string{"http/1.1"}
		return config, nil
	}
	if !options.Secure {
		return nil, nil
	}
	hosts := []string{address}
	if host, _, err := net.SplitHostPort(address); err == nil {
		hosts = []string{host}
		if host == "" {
			hosts = addr.IPs()
		}
	}
	cert, err := mtls.Certificate(hosts...)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}, nil
}
