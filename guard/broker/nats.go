package broker

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	natsplugin "github.com/go-micro/plugins/v4/broker/nats"
	"github.com/nats-io/nats.go"
	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/guard"
)

// NATSConfig configures the NATS broker. The zero value means the server at
// 127.0.0.1:4222 without TLS.
type NATSConfig struct {
	Config
	// Addresses of the servers of one cluster: host, host:port, nats://host:port or
	// tls://host:port. Either all use TLS or none. A URL may contain user and
	// password, or a token in place of the user. An element may be a comma-separated
	// list.
	Addresses []string
	// User and Password, or Token, or CredentialsFile authenticate the client. They
	// take precedence over the URL.
	User            string
	Password, Token Secret
	CredentialsFile string
	// TLSConfig enables TLS. Nil: TLS for tls:// addresses, with the system's
	// authorities.
	TLSConfig *tls.Config
	// Name is the client's name in the server's list of connections. Empty: none.
	Name string
	// ReconnectWait is the minimum pause between two connection attempts. A random
	// time of up to as much is added. 0: 500 ms.
	ReconnectWait time.Duration
	// PingInterval is the time between two pings. The client disconnects from a
	// server that does not answer two of them. 0: 5 s.
	PingInterval time.Duration
}

// NewNATS returns a guarded broker on NATS that reconnects without limit, also if no
// server is available at start. It does not connect. Its errors name the setting at
// fault and the remedy.
//
// Each subscription buffers up to 524,288 events or 64 MiB, which are the defaults of
// nats.go. Further events are dropped and counted in Stats.Dropped. While
// disconnected, up to 8 MiB of published events are buffered; then Publish fails.
func NewNATS(cfg NATSConfig) (*Broker, error) {
	cfg.Config = cfg.Config.withDefaults()
	addresses, secure, err := natsAddresses(cfg)
	if err != nil {
		return nil, err
	}
	n := &natsBroker{
		conn:      newConnection("nats"),
		dialer:    newNATSDialer(cfg.Timeout),
		address:   guard.Redact(strings.Join(addresses, ",")),
		droppedBy: make(map[*nats.Subscription]uint64),
	}
	opts, err := n.options(cfg, addresses, secure)
	if err != nil {
		return nil, err
	}
	n.conn.dropped, n.conn.interrupt = n.dropped, n.dialer.abort
	n.Broker = natsplugin.NewBroker(
		natsplugin.Options(opts),
		broker.Logger(guard.NewLogger(cfg.Logger)),
		broker.ErrorHandler(n.onMalformed),
	)
	return newBroker(n, cfg.Config, n.conn), nil
}

// options returns the options of the client. With the defaults it would give up after
// two minutes, or at once if no server is available at start.
func (n *natsBroker) options(cfg NATSConfig, addresses []string, secure bool) (nats.Options, error) {
	o := nats.GetDefaultOptions()
	o.Servers = addresses
	o.Name = cfg.Name
	o.User, o.Password, o.Token = cfg.User, string(cfg.Password), string(cfg.Token)
	o.MaxReconnect = -1
	o.RetryOnFailedConnect = true
	o.IgnoreAuthErrorAbort = true
	o.NoCallbacksAfterClientClose = true
	o.ReconnectWait = cmp.Or(cfg.ReconnectWait, 500*time.Millisecond)
	o.ReconnectJitter, o.ReconnectJitterTLS = o.ReconnectWait, o.ReconnectWait
	o.PingInterval = cmp.Or(cfg.PingInterval, 5*time.Second)
	o.MaxPingsOut = 2
	o.Timeout, o.FlusherTimeout = cfg.Timeout, cfg.Timeout
	o.CustomDialer, o.SkipHostLookup = n.dialer, true
	o.ConnectedCB, o.ReconnectedCB = n.onConnected, n.onConnected
	o.DisconnectedErrCB, o.ReconnectErrCB = n.onDisconnected, n.onDisconnected
	o.ClosedCB = func(c *nats.Conn) { n.conn.setLost(c.LastError()) }
	o.AsyncErrorCB = n.onError
	if o.TLSConfig = cfg.TLSConfig; o.TLSConfig == nil && secure {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	o.Secure = o.TLSConfig != nil
	if cfg.CredentialsFile != "" {
		if err := nats.UserCredentials(cfg.CredentialsFile)(&o); err != nil {
			return o, fmt.Errorf("reading the NATS credentials file %q: %w", cfg.CredentialsFile, err)
		}
	}
	return o, nil
}

// natsAddresses checks the addresses and returns them with the only scheme that the
// plugin supports, and whether they ask for TLS.
func natsAddresses(cfg NATSConfig) (addresses []string, secure bool, err error) {
	schemes := make(map[string]bool)
	for address := range strings.SplitSeq(strings.Join(cfg.Addresses, ","), ",") {
		if address = strings.TrimSpace(address); address == "" {
			continue
		}
		u, err := natsAddress(address)
		if err != nil {
			return nil, false, fmt.Errorf("broker address %q: %w: give host:port, nats://host:port or tls://host:port",
				guard.Redact(address), err)
		}
		schemes[u.Scheme] = true
		u.Scheme = "nats"
		addresses = append(addresses, u.String())
	}
	if len(schemes) > 1 {
		return nil, false, errors.New("broker addresses: nats:// and tls:// are mixed: give one kind")
	}
	if len(addresses) == 0 {
		addresses = []string{"nats://127.0.0.1:4222"}
	}
	return addresses, schemes["tls"], nil
}

func natsAddress(address string) (*url.URL, error) {
	if !strings.Contains(address, "://") {
		address = "nats://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("it is not an address") // the error of url.Parse contains the password
	}
	if u.Scheme != "nats" && u.Scheme != "tls" {
		return nil, fmt.Errorf("unknown scheme %q", u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, errors.New("the host is missing")
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("nothing may follow the port")
	}
	u.Path = ""
	if u.Host, err = guard.HostPort(u.Host, "4222"); err != nil {
		return nil, err
	}
	return u, nil
}
