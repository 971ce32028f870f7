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
)

// TransportConfig bounds what an RPC port takes from its callers. A field that
// is zero or negative gets the default named beside it.
type Config struct {
	// MaxBody is the longest request body in bytes; 1 MiB. A longer one is
	// answered 413.
	MaxBody int64
	// MaxConns is how many connections are open at once; 1024. Further ones
	// are closed as soon as they are made. Stock clients keep idle connections,
	// so this is also about how many callers there can be in one IdleTimeout.
	MaxConns int
	// MaxHeader is the longest request header in bytes; 16 KiB. A longer one is
	// answered 431. At most twice as much, and 4 KiB, is held in memory.
	MaxHeader int
	// HeaderTimeout is how long a request header may take, from its first byte
	// or from the start of the connection; 5 s.
	HeaderTimeout time.Duration
	// BodyTimeout is how much longer a whole request may take; 10 s.
	BodyTimeout time.Duration
	// WriteTimeout is how long writing an answer may take; 30 s. No handler may
	// run longer either, whatever time-out its caller asked for.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection may wait for its next request; 60 s.
	// Stock clients use a connection for 60 s and do not notice that it was
	// closed before, so less than that costs calls.
	IdleTimeout time.Duration
	// DrainTimeout is how long Close of a listener waits for calls in flight;
	// 8 s.
	DrainTimeout time.Duration
	// Log takes what callers did wrong and what handlers did, a line in ten
	// seconds of each kind; slog.Default().
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

// Transport is go-micro's HTTP transport with a listening side of its own.
//
// Callers see the stock transport: HTTP/1.1 POST, a Micro-Endpoint header, a
// body of application/json or application/protobuf. What differs:
//
//   - Every request gets exactly one answer, also pipelined ones and those
//     whose handler panics, stays silent or overruns its time.
//   - Bodies, headers, connections and the time of each are bounded.
//   - Events (Micro-Topic) are not taken; they come from the broker.
//   - Streams, HTTP/2, the codecs of go-micro 1 (application/json-rpc,
//     application/proto-rpc, or no Micro headers at all), application/grpc and
//     application/octet-stream are refused. No v4 client sends them to a
//     service that was registered by a v4 server, and the stock server gives
//     them no answer, or lets 4 bytes reserve 4 GB.
//   - Answers do not repeat the headers of the request, but for Micro-Id.
//   - The time-out of the caller is not in a handler's metadata. Recover puts it
//     into the context, where the stock server has it.
//
// The transport options Secure and TLSConfig, given by Init, hold as in the
// stock transport. Its options Timeout, BuffSizeH2 and the context value
// http_handlers hold for the dialling side only.
type Transport struct {
	stock transport.Transport
	cfg   Config
	count transportCounts
	rare  *rareLog
}

var _ transport.Transport = (*Transport)(nil)

// NewTransport returns a transport for go-micro's server and client.
func New(cfg Config) *Transport {
	cfg = cfg.withDefaults()
	return &Transport{stock: transport.NewHTTPTransport(), cfg: cfg, rare: &rareLog{log: cfg.Log}}
}

// Init applies options of the stock transport. It must not be called once the
// transport is in use.
func (t *Transport) Init(opts ...transport.Option) error { return t.stock.Init(opts...) }

// Options returns the options of the stock transport.
func (t *Transport) Options() transport.Options { return t.stock.Options() }

// Dial connects as the stock transport does.
func (t *Transport) Dial(addr string, opts ...transport.DialOption) (transport.Client, error) {
	return t.stock.Dial(addr, opts...)
}

// String returns the name of the stock transport, "http", because callers
// choose theirs by it.
func (t *Transport) String() string { return t.stock.String() }

// Listen opens addr, which is host:port or host:low-high for the first free
// port of a range. Calls are taken once the listener's Accept is called. An
// option that carries a context, such as transport.NetListener, is an error:
// its value cannot be read outside of go-micro.
func (t *Transport) Listen(addr string, opts ...transport.ListenOption) (transport.Listener, error) {
	var options transport.ListenOptions
	for _, o := range opts {
		o(&options)
	}
	if options.Context != nil {
		return nil, fmt.Errorf("listening on %q: options such as transport.NetListener are not supported here, give an address", addr)
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
	return newRPCListener(t, ln, config), nil
}

// serverTLS returns nil for clear text, the configured TLS if there is one, and
// else a self-signed certificate if Secure is set.
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
