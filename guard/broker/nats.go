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

// NATSConfig says which NATS servers are used and how. Its zero value is the
// server at 127.0.0.1:4222 without TLS.
type NATSConfig struct {
	Config
	// Addresses of the servers of one cluster: host, host:port, nats://host:port or
	// tls://host:port, all with TLS or none. User and password, or a token in place
	// of the user, may stand in the URL. A text may hold several with commas.
	Addresses []string
	// AddressFrom names the flag or variable that Addresses came from, for errors.
	// Empty: "--broker_address".
	AddressFrom string
	// User and Password, or Token, or CredentialsFile log in. They win over the URL.
	User            string
	Password, Token Secret
	CredentialsFile string
	// TLSConfig asks for TLS. Nil: TLS for tls:// addresses, with the certificates
	// of the system.
	TLSConfig *tls.Config
	// Name is shown by the server in its list of clients. Empty: none.
	Name string
	// ReconnectWait is the pause between two attempts, to which up to as much again
	// is added at random. 0: 500 ms.
	ReconnectWait time.Duration
	// PingInterval: a server that leaves two of the client's pings unanswered is
	// taken as gone. 0: 5 s.
	PingInterval time.Duration
}

// NewNATSBroker returns a guarded broker on NATS that reconnects for ever. A server
// that is away at start is waited for like any other. It asks nothing of the
// servers; its errors name the flag or variable at fault and what to do.
//
// Each subscription may fall behind by 524,288 events or 64 MiB, which are nats.go's
// limits for the plugin's subscriptions; what comes on top is dropped and counted
// in BrokerStats.Dropped. While disconnected, 8 MiB of published events are kept,
// then Publish fails.
func NewNATS(cfg NATSConfig) (*Broker, error) {
	cfg.Config = cfg.Config.withDefaults()
	addresses, secure, err := natsAddresses(cfg)
	if err != nil {
		return nil, err
	}
	n := &natsBroker{
		link:  newLink("nats"),
		dial:  newNATSDialer(cfg.Timeout),
		shown: guard.Redact(strings.Join(addresses, ",")),
		last:  make(map[*nats.Subscription]uint64),
	}
	opts, err := n.options(cfg, addresses, secure)
	if err != nil {
		return nil, err
	}
	n.link.drops, n.link.hurry = n.drops, n.dial.abort
	n.Broker = natsplugin.NewBroker(
		natsplugin.Options(opts),
		broker.Logger(guard.NewLogger(cfg.Logger)),
		broker.ErrorHandler(n.malformed),
	)
	return newBroker(n, cfg.Config, n.link), nil
}

// options makes the client's options: everything that the traps of the defaults
// need, which give up after two minutes and exit when the server is away at start.
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
	o.CustomDialer, o.SkipHostLookup = n.dial, true
	o.ConnectedCB, o.ReconnectedCB = n.onUp, n.onUp
	o.DisconnectedErrCB, o.ReconnectErrCB = n.onDown, n.onDown
	o.ClosedCB = func(c *nats.Conn) { n.link.gone(c.LastError()) }
	o.AsyncErrorCB = n.onAsync
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

// natsAddresses checks the addresses and gives them with the one scheme that the
// plugin understands, and whether they ask for TLS.
func natsAddresses(cfg NATSConfig) (addresses []string, secure bool, err error) {
	from := cmp.Or(cfg.AddressFrom, "--broker_address")
	schemes := make(map[string]bool)
	for address := range strings.SplitSeq(strings.Join(cfg.Addresses, ","), ",") {
		if address = strings.TrimSpace(address); address == "" {
			continue
		}
		u, err := natsAddress(address)
		if err != nil {
			return nil, false, fmt.Errorf("reading %s=%q: %w: give host:port, nats://host:port or tls://host:port",
				from, guard.Redact(address), err)
		}
		schemes[u.Scheme] = true
		u.Scheme = "nats"
		addresses = append(addresses, u.String())
	}
	if len(schemes) > 1 {
		return nil, false, fmt.Errorf("reading %s: nats:// and tls:// addresses are mixed: give one kind", from)
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
		return nil, errors.New("it is no address") // the parser's error shows the password
	}
	if u.Scheme != "nats" && u.Scheme != "tls" {
		return nil, fmt.Errorf("scheme %q is not known", u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, errors.New("it names no host")
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("there is something after the port")
	}
	u.Path = ""
	if u.Host, err = guard.HostPort(u.Host, "4222"); err != nil {
		return nil, err
	}
	return u, nil
}
